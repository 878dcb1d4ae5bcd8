"use strict";
// What is under the pointer. The page is complete without it.
for (const plot of document.querySelectorAll(".plot")) {
  const tips = JSON.parse(plot.querySelector("script").textContent);
  const area = plot.querySelector("div.area");
  if (!tips.at) continue;

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text || "";
    return element;
  };
  const cursor = make("div", "cursor");
  const tip = make("div", "tip");
  cursor.hidden = tip.hidden = true;
  area.append(cursor, tip);

  // nearest finds the place along x that is closest to a percentage.
  const nearest = (x) => {
    let low = 0, high = tips.at.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tips.at[middle] < x) low = middle + 1; else high = middle;
    }
    return low > 0 && x - tips.at[low - 1] < tips.at[low] - x ? low - 1 : low;
  };

  const show = (i) => {
    cursor.replaceChildren();
    tip.replaceChildren(make("p", "", tips.titles[i]));
    for (const line of tips.series || []) {
      if (!line.values[i]) continue;
      const row = make("div", line.class, line.name);
      row.append(make("b", "", line.values[i]));
      tip.append(row);
      if (line.places[i] >= 0) {
        const dot = make("i", line.class);
        dot.style.bottom = line.places[i] + "%";
        cursor.append(dot);
      }
    }
    cursor.hidden = tip.hidden = false;
    cursor.style.left = tips.at[i] + "%";
    const right = tips.at[i] > 50;
    tip.style.left = right ? "" : `calc(${tips.at[i]}% + 14px)`;
    tip.style.right = right ? `calc(${100 - tips.at[i]}% + 14px)` : "";
  };

  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect();
    show(nearest(100 * (event.clientX - box.left) / box.width));
  });
  area.addEventListener("pointerleave", () => { cursor.hidden = tip.hidden = true; });
}
