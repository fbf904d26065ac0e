"use strict";
(() => {
  // Tables sort by the value behind a cell; what is undefined stays last. A second press turns the order.
  const value = (row, column) => row.cells[column].dataset.v;
  const order = (column, words, sign) => (a, b) => {
    const x = value(a, column), y = value(b, column);
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (words ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
  };
  for (const head of document.querySelectorAll("thead th")) {
    head.firstElementChild.addEventListener("click", () => {
      const body = head.closest("table").tBodies[0];
      const words = head.classList.contains("text");
      const was = head.getAttribute("aria-sort");
      const rising = was === null ? words : was === "descending";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      body.append(...[...body.rows].sort(order(head.cellIndex, words, rising ? 1 : -1)));
    });
  }

  // A picture opens large; arrows walk through the pictures of the same image.
  const dialog = document.getElementById("large");
  const stage = dialog.querySelector(".stage");
  let shots = [], at = 0;
  const show = () => {
    const shot = shots[at].cloneNode(true), holder = document.createElement("div");
    holder.className = shot.className;
    holder.append(...shot.childNodes);
    const [width, height] = shots[at].style.aspectRatio.split("/").map(Number);
    holder.style.aspectRatio = `${width}/${height}`;
    holder.style.setProperty("--ratio", width / height);
    holder.style.setProperty("--photo", getComputedStyle(shots[at]).getPropertyValue("--photo"));
    stage.replaceChildren(holder);
    dialog.querySelector("p").textContent = shots[at].dataset.caption;
  };
  const step = (by) => { at = (at + by + shots.length) % shots.length; show(); };
  for (const shot of document.querySelectorAll(".panel .shot")) {
    shot.addEventListener("click", () => {
      shots = [...shot.closest(".panels").querySelectorAll(".shot")];
      at = shots.indexOf(shot);
      show();
      dialog.showModal();
    });
  }
  for (const button of dialog.querySelectorAll(".step")) {
    button.addEventListener("click", () => step(Number(button.dataset.step)));
  }
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target === stage) dialog.close();
  });
  dialog.addEventListener("close", () => shots[at]?.focus());

  const mix = document.getElementById("mix");
  mix?.addEventListener("input", () => document.documentElement.style.setProperty("--mix", mix.value / 100));
})();
