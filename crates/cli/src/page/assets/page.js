// Logs in by the fragment of the address, and keeps the page up to date. Everything else works without it.
// Text of events is set as text. Pieces of a page come from the server, which escapes every text from outside.
"use strict";

(() => {
  const REFRESH_MS = 2000; // the shortest pause between two loads of the figures
  const FALLBACK_MS = 5000; // pause between loads when there is no stream
  const REGIONS = ["live-figures", "live"];
  const main = document.getElementById("main");

  // The token is in the fragment, which the browser sends to no server. It is posted once, for a cookie.
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    history.replaceState(null, "", location.pathname + location.search);
    fetch("login", { method: "POST", body: new URLSearchParams({ token }) }).then((answer) => {
      if (answer.ok) {
        location.reload();
      } else {
        const status = document.getElementById("login-status");
        if (status) status.textContent = "This is not the token.";
      }
    });
    return;
  }

  // Nothing is replaced under a finger or a selection.
  let isPressed = false;
  addEventListener("pointerdown", () => { isPressed = true; });
  for (const end of ["pointerup", "pointercancel", "blur"]) {
    addEventListener(end, () => setTimeout(() => { isPressed = false; }));
  }
  const isSelected = (region) => {
    const selection = getSelection();
    return selection.type === "Range" && region.contains(selection.anchorNode);
  };

  // Takes the regions of a newly loaded page, and keeps the focus and the scroll position.
  async function refresh() {
    const answer = await fetch(location.pathname + location.search);
    if (!answer.ok) return;
    const text = await answer.text();
    if (isPressed) return refreshSoon();
    const loaded = new DOMParser().parseFromString(text, "text/html");
    for (const id of REGIONS) {
      const [now, next] = [document.getElementById(id), loaded.getElementById(id)];
      if (!now || !next || isSelected(now) || now.innerHTML === next.innerHTML) continue;
      const focused = now.contains(document.activeElement) ? document.activeElement : null;
      const name = focused && (focused.getAttribute("href") || focused.getAttribute("aria-label"));
      const left = Array.from(now.querySelectorAll(".scroll"), (one) => one.scrollLeft);
      now.replaceChildren(...Array.from(next.childNodes, (node) => document.importNode(node, true)));
      now.querySelectorAll(".scroll").forEach((one, at) => { one.scrollLeft = left[at] || 0; });
      if (name) {
        const same = (one) => one.getAttribute("href") === name || one.getAttribute("aria-label") === name;
        const again = Array.from(now.querySelectorAll("a[href], [tabindex]")).find(same);
        if (again) again.focus({ preventScroll: true });
      }
    }
    const next = loaded.getElementById("main");
    if (!next.dataset.stream && !next.dataset.everyS) {
      const [sentence, last] = [document, loaded].map((one) => one.getElementById("sentence"));
      if (sentence && last && sentence.textContent !== last.textContent) sentence.textContent = last.textContent;
      stop();
    } else if (next.dataset.everyS && next.dataset.everyS !== main.dataset.everyS) {
      main.dataset.everyS = next.dataset.everyS;
      pause();
      start();
    }
  }

  let waiting = null;
  let loadedAt = 0;
  function refreshSoon() {
    if (waiting) return;
    waiting = setTimeout(() => {
      waiting = null;
      loadedAt = Date.now();
      refresh().catch(() => {});
    }, Math.max(0, loadedAt + REFRESH_MS - Date.now()));
  }

  let source = null;
  let timer = null;
  let isOver = false;

  function every(ms) {
    if (!timer) timer = setInterval(refreshSoon, ms);
  }

  function pause() {
    if (source) source.close();
    clearInterval(timer);
    [source, timer] = [null, null];
  }

  function stop() {
    isOver = true;
    pause();
  }

  function start() {
    if (isOver || source || timer) return;
    if (main.dataset.everyS) return every(1000 * Number(main.dataset.everyS));
    if (!main.dataset.stream) return;
    source = new EventSource(main.dataset.stream);
    source.onmessage = (event) => {
      const update = JSON.parse(event.data);
      document.getElementById("sentence").textContent = update.sentence;
      if (update.is_over) stop();
      refreshSoon();
    };
    source.onerror = () => {
      // Refused, for example because of too many viewers. After a lost connection the browser tries again itself.
      if (source && source.readyState === EventSource.CLOSED) {
        pause();
        every(FALLBACK_MS);
      }
    };
  }

  // A hidden page holds no connection: a browser has only six for one host.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      pause();
    } else if (!isOver && (main.dataset.stream || main.dataset.everyS)) {
      refreshSoon();
      start();
    }
  });
  if (!document.hidden) start();
})();
