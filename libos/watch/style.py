"""How the view is laid out, in Textual's CSS. `-narrow` and `-short` are set by the terminal's size, `on-…`
by the pane that was visited last."""

CSS = """
Watch { background: $background; }
#head { height: 1; text-style: bold; }
#panes { height: 1fr; }
#held, #tried, #details { background: $background; }
#held { width: 2fr; border: round $primary; }
#tried { width: 3fr; border: round $primary; }
#details { height: 30%; min-height: 5; border: round $primary; }
#held:focus, #tried:focus, #details:focus { border: double $accent; }
#details { scrollbar-size-vertical: 1; }
#said { height: auto; max-height: 2; }
#filter { display: none; height: 1; }
#slash { width: 2; }
#words { width: 1fr; height: 1; border: none; padding: 0; }
#filter.open { display: block; }
#bar { height: 1; }

.-narrow #held, .-narrow #tried { width: 1fr; display: none; }
.-narrow.on-held #held, .-narrow.on-tried #tried { display: block; }
.-narrow.on-details #tried { display: block; }
.-short #details { display: none; }
.-short.on-details #panes { display: none; }
.-short.on-details #details { display: block; height: 1fr; }

Confirm, Edit, Keys { align: center middle; }
.box { width: 90%; max-width: 100; height: auto; max-height: 90%; border: round $accent; padding: 0 1;
       background: $surface; }
.box.tall { height: 90%; }
.command { margin: 1 0; }
#wrong { height: auto; }
"""
