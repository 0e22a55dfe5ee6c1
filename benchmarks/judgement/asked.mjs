// Asks a rival of Node about pairs of pictures: its name as argument, a JSON list of [expected, actual] on standard
// input. Prints a JSON line for each pair: scores by setting, 0 for equal.
import { createRequire } from "node:module";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

const [rival, folder] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const THRESHOLDS = [0.05, 0.1, 0.2, 0.3];
const TOLERANCES = [2.3, 5];

async function pixelmatch(name) {
  const { default: match } = await import(require.resolve(name));
  const { PNG } = require("pngjs");
  const read = (path) => PNG.sync.read(readFileSync(path));
  return (expected, actual) => {
    const [one, other] = [read(expected), read(actual)];
    const count = (threshold) => match(one.data, other.data, null, one.width, one.height, { threshold });
    return Object.fromEntries(THRESHOLDS.map((threshold) => [threshold, count(threshold)]));
  };
}

const RIVALS = {
  "pixelmatch 7.2": () => pixelmatch("pixelmatch"),
  "pixelmatch 8": () => pixelmatch("pixelmatch8"),
  "looks-same": async () => {
    const same = require("looks-same");
    return async (expected, actual) => {
      const scores = {};
      for (const tolerance of TOLERANCES) {
        const said = await same(expected, actual, { tolerance, createDiffImage: true });
        scores[tolerance] = said.equal ? 0 : said.differentPixels;
      }
      return scores;
    };
  },
  odiff: async () => {
    const program = process.argv[4];
    const count = async (options) => {
      const failed = await promisify(execFile)(program, options).then(() => null, (error) => error);
      if (failed === null) return 0;
      if (failed.code !== 22) throw failed;
      return Number(failed.stdout.split(";")[0]);
    };
    return async (expected, actual) => {
      const scores = {};
      for (const threshold of THRESHOLDS) {
        for (const [word, more] of [["", []], [" antialiasing", ["--antialiasing"]]]) {
          const options = ["--parsable-stdout", `--threshold=${threshold}`, ...more];
          scores[threshold + word] = await count([expected, actual, ...options]);
        }
      }
      return scores;
    };
  },
};

const ask = await RIVALS[rival]();
for (const [expected, actual] of JSON.parse(readFileSync(0, "utf-8"))) {
  console.log(JSON.stringify(await ask(expected, actual)));
}
