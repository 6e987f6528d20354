// What a point's <title> says, beside the pointer or the focus; without this script the browser shows the title itself.
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true"); // the point's own label says the same
  document.body.append(tip);
  const hide = () => { tip.hidden = true; };
  const show = (point) => {
    tip.textContent = point.dataset.label;
    tip.hidden = false;
    const box = point.querySelector("circle").getBoundingClientRect();
    const left = Math.min(box.right + 8, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(left, 8) + window.scrollX}px`;
    tip.style.top = `${box.bottom + 8 + window.scrollY}px`;
  };
  for (const point of document.querySelectorAll(".point")) {
    const title = point.querySelector("title");
    point.dataset.label = title.textContent;
    title.remove();
    point.addEventListener("pointerenter", () => show(point));
    point.addEventListener("pointerleave", hide);
    point.addEventListener("focus", () => show(point));
    point.addEventListener("blur", hide);
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
