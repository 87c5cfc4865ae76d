"""`libos kill`: end a running world, or send its app a signal."""

from __future__ import annotations

import signal

import click

from libos.cli import completing


class _SignalType(click.ParamType[signal.Signals | None]):
    """A signal as kill(1) takes it: INT, SIGINT or 2."""

    name = "signal"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> signal.Signals | None:
        if value is None or isinstance(value, signal.Signals):
            return value
        text = str(value).upper()
        try:
            if text.isdigit():
                return signal.Signals(int(text))
            return signal.Signals[text if text.startswith("SIG") else f"SIG{text}"]
        except (KeyError, ValueError):
            self.fail(f"{value} is no signal; kill -l lists them", param, ctx)


@click.command("kill")
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=completing.worlds)
@click.option("-s", "--signal", "number", type=_SignalType(), metavar="SIGNAL",
              help="Send this to the app instead of ending the world.")  # fmt: skip
def command(names: tuple[str, ...], number: signal.Signals | None) -> int:
    """End worlds by name, with everything that runs in them; or, with -s, send each one's app a signal."""
    from libos.cli.show import complain
    from libos.control.client import ask
    from libos.control.folder import ControlError, open_folder

    message = {"request": "kill"} if number is None else {"request": "signal", "number": int(number)}
    status = 0
    with open_folder() as folder:
        for name in names:
            try:
                ask(folder, name, message)
            except ControlError as error:
                complain(str(error))
                status = error.exit_status
    return status
