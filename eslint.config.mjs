import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      complexity: ["error", 10],
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({
          property,
          message: "Data must never become markup: use el() of dom.js.",
        })),
      ],
      "no-var": "error",
      "prefer-const": "error",
    },
  },
  {
    // Loaded without type="module", so that it runs before the first paint.
    files: ["**/theme.js"],
    languageOptions: { sourceType: "script" },
  },
];
