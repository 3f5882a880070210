// Shows the offline page when there is no net. No page of a reader is ever kept.
"use strict";
const KEPT = "linli-1";
const OFFLINE = "/offline";

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const answer = await fetch(OFFLINE, { credentials: "omit" });
    const text = await answer.clone().text();
    const cache = await caches.open(KEPT);
    await cache.put(OFFLINE, answer);
    await cache.addAll([...new Set(text.match(/\/static\/[^"]+/g))]);
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== KEPT) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const asked = event.request;
  if (asked.method !== "GET") return;
  if (asked.mode === "navigate") {
    event.respondWith(fetch(asked).catch(() => caches.match(OFFLINE)));
  } else if (new URL(asked.url).pathname.startsWith("/static/")) {
    event.respondWith(caches.match(asked).then((kept) => kept || fetch(asked)));
  }
});
