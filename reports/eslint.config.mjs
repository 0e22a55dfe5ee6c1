// The report's scripts, classic ones that share one global, `imgdiff`, and the script that captures run in pages. Run it
// in the root folder. Names and types are tsc's business (jsconfig.json).
import { createRequire } from "node:module";

// ESLint is installed anywhere: IMGDIFF_NODE is the folder that holds its node_modules.
const js = createRequire(`${process.env.IMGDIFF_NODE ?? process.cwd()}/`)("@eslint/js");

const CAPTURE = "pytest_imgdiff/capture/*.js";
const asText = "a name may hold anything: use textContent";

export default [
  js.configs.recommended,
  {
    files: ["reports/templates/assets/*.js", CAPTURE],
    languageOptions: { ecmaVersion: 2022, sourceType: "script" },
    rules: {
      "no-undef": "off", // tsc knows the browser's names
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-var": "error",
      "prefer-const": "error",
      strict: ["error", "function"],
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: asText },
        { property: "outerHTML", message: asText },
        { property: "insertAdjacentHTML", message: asText },
      ],
    },
  },
  {
    files: [CAPTURE],
    rules: { strict: "off" }, // a function that takes its arguments apart cannot say "use strict"
  },
];
