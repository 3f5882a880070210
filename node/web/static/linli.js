// What a browser can add: reading aloud, an offline page. Without script every page works as well.
"use strict";
(() => {
  const errors = document.getElementById("errors");
  if (errors) errors.focus();
  if (navigator.serviceWorker) {
    window.addEventListener("load", () => navigator.serviceWorker.register("/worker.js").catch(() => {}));
  }
  const menu = document.querySelector("details.more");
  document.addEventListener("keydown", (pressed) => {
    if (pressed.key === "Escape" && menu && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  const button = document.getElementById("read-aloud");
  const voice = window.speechSynthesis;
  if (!button || !voice) return;
  const start = button.textContent;
  const rest = () => { button.textContent = start; button.setAttribute("aria-pressed", "false"); };
  button.hidden = false;
  rest();
  button.addEventListener("click", () => {
    if (voice.speaking) { voice.cancel(); rest(); return; }
    const words = new SpeechSynthesisUtterance(document.getElementById("main").innerText);
    words.lang = document.documentElement.lang;
    words.rate = 0.9;
    words.onend = words.onerror = rest;
    button.textContent = button.dataset.stop;
    button.setAttribute("aria-pressed", "true");
    voice.speak(words);
  });
  window.addEventListener("pagehide", () => voice.cancel());
})();
