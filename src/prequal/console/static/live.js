// Keeps what is live on a page as it is now. The server sends a fragment when it has changed, once a second at most.
// A page without this script is read as it came. What is in place stays there: focus, scrolling and a row under a finger.
"use strict";

const SILENT_MS = 5000, HEAL_MS = 5000;

function morph(from, to) {
  if (from.nodeType === Node.TEXT_NODE && from.data !== to.data) from.data = to.data;
  if (from.nodeType !== Node.ELEMENT_NODE) return;
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  const keyed = new Map([...from.children].filter((each) => each.id).map((each) => [each.id, each]));
  let place = from.firstChild;
  for (const child of [...to.childNodes]) {
    const known = child.id ? keyed.get(child.id) : place && !place.id && place.nodeName === child.nodeName ? place : null;
    if (known === place && place) place = place.nextSibling;
    else from.insertBefore(known || child, place);
    if (known) morph(known, child);
  }
  while (place) { const next = place.nextSibling; place.remove(); place = next; }
}

function follow(line) {
  const asOf = line.querySelector("[data-as-of]"), pause = line.querySelector("button");
  const problem = document.getElementById("live-problem"), [words, age] = problem.querySelectorAll("span");
  let source = null, isPaused = false, isHeld = false, isOver = false, came = null;
  let shown = Date.now(), heard = shown;

  function shut() { if (source) source.close(); source = null; }

  function open() {
    if (isPaused || isOver || document.hidden || (source && source.readyState !== EventSource.CLOSED)) return;
    source = new EventSource(line.dataset.live);
    source.onmessage = (message) => take(JSON.parse(message.data));
    heard = Date.now();
  }

  function take(said) {
    heard = Date.now();
    if (said.over) { isOver = true; pause.hidden = true; shut(); }
    if (said.words) return tell(said.words);
    came = { ...said, fragments: { ...came?.fragments, ...said.fragments } };
    put();
  }

  function put() {
    if (!came || isHeld || isPaused) return;
    for (const [id, html] of Object.entries(came.fragments)) {
      const fresh = document.createElement("div");
      fresh.innerHTML = html;
      morph(document.getElementById(id), fresh);
    }
    asOf.textContent = came.as_of;
    shown = Date.now();
    came = null;
    tell("");
  }

  function tell(text) {
    if (words.textContent !== text) words.textContent = text;
    age.textContent = `What is shown is ${Math.round((Date.now() - shown) / 1000)} s old.`;
    problem.hidden = !text;
  }

  function look() {
    if (isPaused || isOver || document.hidden) return;
    open();
    if (Date.now() - heard > SILENT_MS) tell("The console does not answer. The page goes on by itself when it does.");
  }

  pause.hidden = false;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Go on" : "Pause";
    if (isPaused) shut(); else open();
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) shut(); else open(); });
  addEventListener("pointerdown", () => { isHeld = true; });
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { isHeld = false; setTimeout(put); });
  addEventListener("pagehide", shut);
  setInterval(look, 1000);
  open();
}

function isInUse() {
  const isChanged = (each) => each.value !== each.defaultValue || each.checked !== each.defaultChecked;
  return document.activeElement.matches("input, textarea, select") || [...document.querySelectorAll("input, textarea")].some(isChanged);
}
function heal() {
  if (isInUse()) setTimeout(heal, HEAL_MS); else location.reload();
}
if (document.querySelector("[data-heal]")) setTimeout(heal, HEAL_MS);
else document.querySelectorAll("[data-live]").forEach(follow);
