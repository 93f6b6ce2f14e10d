// Applies Airflow's theme, which is a class of the document around the frame. Outside Airflow's frame, the theme that
// Airflow has stored applies, or else the preference of the browser. Not a module, so that it runs before the first paint.
(() => {
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const airflow = airflowDocument();

  function airflowDocument() {
    try {
      return window.parent === window ? null : window.parent.document.documentElement;
    } catch {
      return null; // embedded by a page of another origin
    }
  }

  function apply() {
    const theme = airflow ? ["dark", "light"].find((name) => airflow.classList.contains(name)) : localStorage.theme;
    const isDark = theme === "dark" || (theme !== "light" && prefersDark.matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
  }

  apply();
  prefersDark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  if (airflow) new MutationObserver(apply).observe(airflow, { attributeFilter: ["class"] });
})();
