// Airflow keeps its theme in a class of its document; without it around us, the browser's preference holds.
// Not a module, so that it has run before anything is painted.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const around = (() => {
    try {
      return window.parent === window ? null : window.parent.document.documentElement;
    } catch {
      return null; // embedded by another origin
    }
  })();

  function follow() {
    const named = around ? ["dark", "light"].find((theme) => around.classList.contains(theme)) : localStorage.theme;
    document.documentElement.dataset.theme = named === "dark" || (named !== "light" && dark.matches) ? "dark" : "light";
  }

  follow();
  dark.addEventListener("change", follow);
  window.addEventListener("storage", follow);
  if (around) new MutationObserver(follow).observe(around, { attributeFilter: ["class"] });
})();
