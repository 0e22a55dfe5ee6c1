// Data files of the page. Under file:// fetch() fails but <script> works: each data file calls imgdiff.receive.
(() => {
  "use strict";

  /** @type {Map<number, Detail[]>} */
  const shards = new Map();
  /** Details that came with their row. @type {Map<number, Detail>} */
  const kept = new Map();
  /** @type {Map<string, string>} from an image's address to the same image as a data: address */
  const pixels = new Map();
  /** @type {Map<string, Promise<void>>} */
  const scripts = new Map();

  /** @type {Imgdiff["receive"]} */
  function receive(/** @type {"run" | "details" | "pixels" | "piece"} */ kind, /** @type {any} */ data) {
    if (kind === "run") imgdiff.run = data;
    else if (kind === "piece") imgdiff.pieces.receive(data);
    else if (kind === "details") shards.set(data.shard, data.details);
    else pixels.set(data.href, data.data);
  }

  /**
   * Run a data file once. After a failure the next request tries again.
   *
   * @param {string} address
   */
  function load(address) {
    let loading = scripts.get(address);
    if (!loading) {
      loading = new Promise((resolve, reject) => {
        const script = imgdiff.element("script", { src: address });
        script.addEventListener("load", () => resolve(undefined));
        script.addEventListener("error", () => {
          scripts.delete(address);
          reject(new Error(`${address} cannot be read: keep all files of the report in one folder.`));
        });
        document.head.append(script);
        script.addEventListener("load", () => script.remove());
      });
      scripts.set(address, loading);
    }
    return loading;
  }

  /** @param {number} index */
  async function details(index) {
    const known = kept.get(index);
    if (known) return known;
    const size = imgdiff.run.shard;
    const shard = Math.floor(index / size);
    if (!shards.has(shard)) await load(`data/details-${shard}.js`);
    const detail = shards.get(shard)?.[index % size];
    if (!detail)
      throw new Error(`data/details-${shard}.js is from another report: it has no comparison ${index}.`);
    return detail;
  }

  /** @param {Figure} figure */
  async function readable(figure) {
    const direct = figure.href.startsWith("data:") || location.protocol !== "file:";
    if (!direct && !pixels.has(figure.href)) {
      if (!figure.pixels) return null;
      await load(figure.pixels);
    }
    const address = direct ? figure.href : pixels.get(figure.href);
    if (!address) return null;
    const image = new Image();
    image.src = address;
    try {
      await image.decode();
    } catch {
      return null; // missing or damaged: there is nothing to read
    }
    return image;
  }

  imgdiff.receive = receive;
  imgdiff.loader = { details, readable, load, keep: (index, detail) => kept.set(index, detail) };
})();
