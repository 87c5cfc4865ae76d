// Puts what has changed where it stands. The HTML comes from the page's own server, which has escaped every
// name in it; the page's Content-Security-Policy runs no script but this one.
"use strict";

// Lines of the log that are kept.
const LINES = 200;
// Milliseconds that a part shines after it was touched.
const SHINE = 1200;

const log = document.getElementById("log");
const state = document.getElementById("state");
const template = document.createElement("template");
const shining = new Map();

function parsed(html) {
  template.innerHTML = html;
  return template.content.firstElementChild;
}

// Among its siblings by their data-key; at the end where it has none.
function insert(parent, fresh) {
  const key = fresh.dataset.key;
  if (key === undefined) {
    parent.append(fresh);
    return;
  }
  const siblings = parent.children;
  let low = 0, high = siblings.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (siblings[middle].dataset.key < key) low = middle + 1; else high = middle;
  }
  parent.insertBefore(fresh, siblings[low] || null);
}

// A branch of the tree changes its own line alone; what hangs below it stays.
function replace(old, fresh) {
  const lines = [old, fresh].map((each) => each.querySelector(":scope > details > summary"));
  if (lines[0] && lines[1]) {
    lines[0].replaceWith(lines[1]);
    old.className = fresh.className;
    return old;
  }
  const open = new Set([...old.querySelectorAll("details[open][data-of]")].map((each) => each.dataset.of));
  for (const each of fresh.querySelectorAll("details[data-of]")) each.open = open.has(each.dataset.of);
  old.replaceWith(fresh);
  fresh.closest("section")?.classList.toggle("empty", fresh.matches("tbody, ul") && !fresh.firstElementChild);
  return fresh;
}

// In a closed directory that is the directory.
function visible(element) {
  let closed = element.parentElement.closest("details:not([open])");
  while (closed) {
    element = closed.parentElement;
    closed = element.parentElement.closest("details:not([open])");
  }
  return element;
}

function shine(touched, name) {
  const element = visible(touched);
  clearTimeout(shining.get(element.id));
  element.classList.add(name);
  shining.set(element.id, setTimeout(() => {
    shining.delete(element.id);
    document.getElementById(element.id)?.classList.remove(name);
  }, SHINE));
}

// The latest lines alone; where some passed too fast to be sent, how many.
let last = Number(log.lastElementChild?.id.slice(1) ?? 0);
function add(fresh) {
  const number = Number(fresh.id.slice(1));
  if (number <= last) return;
  if (number > last + 1) {
    const gap = document.createElement("li");
    gap.className = "quiet";
    gap.textContent = `… ${number - last - 1} more events`;
    log.append(gap);
  }
  last = number;
  log.append(fresh);
  while (log.children.length > LINES) log.firstElementChild.remove();
}

function show([id, parent, html, lit]) {
  const fresh = parsed(html);
  if (parent === "log") {
    add(fresh);
    return;
  }
  const old = document.getElementById(id);
  const holder = document.getElementById(parent);
  let shown = fresh;
  if (old) shown = replace(old, fresh);
  else if (holder) insert(holder, fresh);
  if (lit) shine(shown, lit);
}

function said(name, text) {
  document.body.dataset.state = name;
  state.textContent = text;
}

let source = null;
let ended = false;

function listen() {
  source = new EventSource(`changes?since=${document.body.dataset.version}`);
  source.onopen = () => said("live", "live");
  source.onmessage = (message) => {
    for (const part of JSON.parse(message.data)) show(part);
    document.body.dataset.version = message.lastEventId;
  };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) said("gone", "libos view has ended");
    else said("waiting", "the connection is lost; trying again");
  };
  source.addEventListener("end", () => {
    ended = true;
    source.close();
    said("ended", "the run has ended");
  });
  source.addEventListener("anew", () => {
    source.close();
    location.reload();
  });
}

// A browser has six connections to a server at most: a tab that nobody sees lets go of its own, and gets what
// has changed when it is seen again.
document.addEventListener("visibilitychange", () => {
  if (ended) return;
  source.close();
  said("waiting", "not looked at");
  if (!document.hidden) listen();
});
listen();
