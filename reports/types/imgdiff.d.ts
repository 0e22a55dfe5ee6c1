/**
 * What the report's scripts share: the data that stands beside the page, and what each script offers the others.
 *
 * The scripts are classic ones (a browser refuses modules and fetch() under file://). Each is one function called at
 * once that puts its part into the one global, `imgdiff`; this file is what `tsc --checkJs` holds them to.
 */

type Verdict = "match" | "different" | "missing" | "unmatched" | "resized" | "broken";
type Outcome = "failed" | "warned" | "passed";

/**
 * `data/run.js`: imgdiff.receive("run", {...}). Everything that the list needs; the worst comparison first: broken,
 * different, resized, missing, unmatched, each by departure; then those with a warning, then those that passed.
 *
 * In the self-contained page one script receives the run and the details of every shard, and every address of a
 * image is a data: address, which may be read; `pixels` is null there.
 */
interface RunData {
  version: 1;
  /** Tells this run from others: the key of kept decisions, and in the manifest. */
  run: string;
  title: string;
  headline: string;
  summary: string;
  outcome: "failed" | "passed";
  /** Labels of the merged runs; empty for one run. */
  columns: string[];
  rows: Row[];
  /** Groups by same change, the largest first; only those of at least two. */
  changes: { id: string; size: number }[];
  /** How many comparisons there are, with those in pieces. */
  total: number;
  /** What each piece holds: comparisons that every filter treats alike, counted. Their rows have no name but the folder. */
  pieces: { row: Row; count: number }[][];
  /** How many rows there are in one shard of details: row i is in shard floor(i / shard). */
  shard: number;
}

interface Row {
  /** For links; unique, and the same from run to run. */
  anchor: string;
  name: string;
  verdict: Verdict;
  outcome: Outcome;
  /** The verdict in words. */
  line: string;
  /** The test's node id, or "". */
  test: string;
  /** Names of the metrics whose rule fails. */
  fails: string[];
  /** Differing pixels, or null if nobody counted. */
  pixels: number | null;
  /** Of 0..1, or null. */
  share: number | null;
  regions: number;
  /** The kinds of its regions, that of most of the area first. */
  kinds: string[];
  /** How far the worst failed score is from alike; larger is worse. */
  departure: number;
  /** The group of the same change, or null. */
  change: string | null;
  /** Address of the small image, or null. */
  thumb: string | null;
  /** Index into RunData.columns, or -1. */
  column: number;
  /** Whether there is something to accept. */
  acceptable: boolean;
  /** Whether the actual image can be stored beside the baseline, as an alternative. */
  alternative: boolean;
  /** How many frames or pages accepting replaces: 1 of a still image, 0 where there is nothing to accept. */
  frames: number;
  /** Whether metrics were measured only, so that there is a glance at it. */
  glance: boolean;
  /** The elements of the page under its regions, in words. */
  elements: string[];
  /** Of a comparison from a piece: its place in the order of the run, and its piece. */
  number?: number;
  piece?: number;
}

/** `data/piece-3.js`: imgdiff.receive("piece", {...}). Passed comparisons of a large run, in the order of the run. */
interface Piece {
  piece: number;
  /** A line for each. */
  names: string;
  /** Likewise, or "" where none has a test. */
  tests: string;
  /** Twelve digits for each. */
  anchors: string;
  seconds: string;
  /** What comparisons have in common: all but name, test, anchor and seconds. */
  kinds: { row: Row; detail: Detail }[];
  /** The number of the kind of each. */
  of_kind: number[];
}

/** `data/details-3.js`: imgdiff.receive("details", {shard: 3, details: [...]}), in the order of the rows. */
interface Detail {
  figures: Figure[];
  /** Width and height of what was compared, or null. Regions are in these pixels. */
  size: [number, number] | null;
  /** Whether the actual image was resampled to the expected one's size. */
  scaled: boolean;
  rules: { metric: string; value: string; limits: string[]; margins: string[]; outcome: Outcome; verdict: string; details: [string, string][]; measured: boolean }[];
  nearestLimits: string | null;
  /** The largest first; at most 200. */
  regions: { x: number; y: number; width: number; height: number; words: string; area: string; peak: string; kind: string; contour: [number, number][]; moved: [number, number] | null; element: string }[];
  regionCount: number;
  facts: { name: string; expected: string; actual: string; differs: boolean }[];
  /** What was masked, which size was chosen, and notes: one sentence each. */
  notes: string[];
  /** The command that accepts the change, or null. */
  accept: string | null;
  /** What the manifest says of an accepted image; null if it cannot be accepted from the report. */
  accepts: { baseline: string; source: string; digest: string; replaces: string | null; alternative: boolean } | null;
  /** The glob for an override of this image alone; null if no override can name it. */
  match: string | null;
  written: string | null;
  seconds: string;
  /** Of several frames or pages, those that fail or pass with a warning; what one says stands in place of the above. */
  frames: FrameDetail[];
  /** Which of them the above is of, or null. */
  frame: number | null;
  /** Both images padded, so that equal parts lie at one place; empty where they are compared in place. */
  layout: Part[];
  /** What was measured only; null if nothing was. */
  glance: Glance | null;
  /** What accepting replaces, where that is more than one frame or page; or null. */
  replaces: string | null;
  /** What is known of the capture of a page, in labels and words; empty where an image was given. */
  capture: [string, string][];
  /** Files that show more of the page, such as a trace: what each is, and its address. */
  attachments: [string, string][];
}

/** A part of the padded plane, and where it starts in each image; null if only the other image has it. */
interface Part {
  x: number;
  y: number;
  width: number;
  height: number;
  expected: [number, number] | null;
  actual: [number, number] | null;
}

/** What was measured of two images, for one look. */
interface Glance {
  cards: { metric: string; title: string; value: string; words: string }[];
  /** What a classifier takes each image for, likeliest first: label, probability in words, and as a number 0..1. */
  expected: [string, string, number][];
  actual: [string, string, number][];
  /** What could not be measured, and why; each begins with the metric's name and a colon. */
  lacks: string[];
}

interface FrameDetail extends Pick<Detail, "figures" | "size" | "scaled" | "rules" | "regions" | "regionCount" | "facts" | "glance" | "layout"> {
  /** Its index, from 0. */
  frame: number;
  words: string;
  outcome: Outcome;
  verdict: Verdict;
  line: string;
}

interface Figure {
  /** expected, actual, mask, then the others by name: <metric>_heat, orb_matches, ... Not the thumb. */
  key: string;
  caption: string;
  alt: string;
  href: string;
  width: number | null;
  height: number | null;
  /** A script that calls imgdiff.receive("pixels", {href, data: "data:image/png;base64,..."}): under file:// a page
   * may show an image and may not read its pixels. Null where there is none. */
  pixels: string | null;
}

/** What is exported, and what `pytest-imgdiff accept` reads. */
interface Manifest {
  imgdiff: "decisions";
  version: 1;
  run: string;
  decisions: ManifestDecision[];
}
interface ManifestDecision {
  name: string;
  column: string | null;
  decision: "accept" | "alternative" | "reject" | "none";
  comment: string;
  /** As in Detail.accepts; null if nothing can be accepted (only to reject or to comment). */
  accepts: { baseline: string; source: string; digest: string; replaces: string | null; alternative: boolean } | null;
}

interface Decision {
  decision: "accept" | "alternative" | "reject" | "none";
  comment: string;
}

/** One entry of the help sheet and of the keyboard. */
interface KeyBinding {
  /** As in KeyboardEvent.key, with "Ctrl+", "Shift+" before it where they are pressed ("Shift+" only before named keys, not characters). */
  keys: string[];
  says: string;
  /** "list" is live while no comparison is open, "viewer" while one is. */
  scope: "everywhere" | "list" | "viewer";
  does(event: KeyboardEvent): void;
}

interface ServerPart {
  /** Whether the page is served by `pytest-imgdiff serve`, which writes accepted baselines at once. */
  readonly live: boolean;
  /** Ask the server to carry these out; resolves to a line for each, or rejects with a message for the reader. */
  carryOut(decisions: ManifestDecision[]): Promise<string[]>;
}

interface Imgdiff {
  /** imgdiff.js: make an element; null and false leave an attribute or a child out. Texts never become markup. */
  element<Tag extends keyof HTMLElementTagNameMap>(
    tag: Tag,
    attributes?: Record<string, string | number | boolean | null>,
    ...children: (Node | string | null)[]
  ): HTMLElementTagNameMap[Tag];
  /** imgdiff.js: the element with this id, which the template has to hold. */
  place(id: string): HTMLElement;
  /** imgdiff.js: "1 284". */
  thousands(number: number): string;
  /** imgdiff.js: "1 region", "3 regions". */
  counted(number: number, noun: string): string;

  /** Called by the data files. */
  receive(kind: "run", data: RunData): void;
  receive(kind: "details", data: { shard: number; details: Detail[] }): void;
  receive(kind: "piece", data: Piece): void;
  receive(kind: "pixels", data: { href: string; data: string }): void;

  /** loader.js */
  run: RunData;
  loader: {
    /** The details of a row; its shard is loaded when first asked for. */
    details(index: number): Promise<Detail>;
    /** An image whose pixels may be read, as an image that is loaded; null if there is none. */
    readable(figure: Figure): Promise<HTMLImageElement | null>;
    /** Run a data file once. */
    load(address: string): Promise<void>;
    /** Keep the details of a row that came with it. */
    keep(index: number, detail: Detail): void;
  };

  /** pieces.js: passed comparisons of a large run. "imgdiff:rows" is dispatched when some have become rows. */
  pieces: {
    receive(piece: Piece): void;
    /** What is not loaded as a whole, counted. */
    waiting(): { row: Row; count: number }[];
    /** Whether this row is among what `waiting` counts. */
    isCounted(row: Row): boolean;
    /** How many files the search of these words has not looked through. */
    unsearched(words: string[]): number;
    /** How many pieces are not loaded as a whole. */
    left(): number;
    /** List the next piece. */
    more(): Promise<void>;
    /** List what fits, up to so many. */
    find(fits: (name: string, test: string, anchor: string) => boolean, most?: number): Promise<number>;
    /** List what has all of these words, up to some thousands; called again with the same words it goes on. */
    search(words: string[]): Promise<void>;
  };

  /** state.js: what is looked at, in the address after "#", so that a link shows the same. Values are text. */
  state: {
    get(key: string): string;
    /** Several values under one key, as `joined` wrote them. */
    getAll(key: string): string[];
    joined(several: Iterable<string>): string;
    /** An empty text drops the key. `push` makes a step of the browser's history. */
    set(values: Record<string, string>, push?: boolean): void;
    /** The address, from "#" on, that these changes would lead to: for links. */
    link(values: Record<string, string>): string;
    /** Called after any change, also by the browser's back button, with the keys that changed. */
    onChange(listener: (changed: Set<string>) => void): void;
  };

  /** keys.js */
  keys: {
    bind(bindings: KeyBinding[]): void;
    /** All, for the help sheet. */
    all(): KeyBinding[];
    /** Say something to screen readers, politely. */
    say(text: string): void;
  };

  /** filters.js: what fits. */
  filters: {
    /** The values that this facet lets through; empty lets all through. */
    chosen(facet: Facet): Set<string>;
    /** Add or remove one value. */
    toggle(facet: Facet, value: string): void;
    clear(): void;
    /** Whether anything but the default is chosen. */
    active(): boolean;
    /** The values that a row has in each facet. */
    valuesOf(row: Row): [Facet, string[]][];
    /** The words that are searched. */
    searched(): string[];
    /** Whether each row fits, how many comparisons fit that are no rows yet, and how many each value would show. */
    apply(): { fits: boolean[]; waiting: number; counts: Map<Facet, Map<string, number>> };
  };
  /** facets.js: draw the filters' controls. */
  facets: { draw(counts: Map<Facet, Map<string, number>>): void };
  /** groups.js: the lines of the list. */
  groups: {
    arrange(fits: boolean[]): Item[];
    /** What is grouped by, and sorted by. */
    by(): string;
    sortedBy(): string;
    fold(key: string, open: boolean): void;
    /** Open all groups, or fold all. */
    foldAll(items: Item[]): void;
  };
  /** rows.js: draw one line of the list. */
  rows: {
    entry(item: EntryItem): HTMLElement;
    group(item: GroupItem, fills: ((indices: number[], place: HTMLElement) => void)[]): HTMLElement;
    verdicts: Record<Verdict, string>;
    /** A kind of region in words. */
    kindWords(kind: string): string;
  };
  /** virtual.js */
  virtual(
    container: HTMLElement,
    draws: { heightOf(line: number): number; draw(line: number): HTMLElement; pinned(): number },
  ): VirtualList;

  /** list.js. State keys: verdict, outcome, metric, kind, folder, change, column, size, search, sort, group; open = anchor of the open row. */
  list: {
    /** Indices of the rows that the filters leave, in the order shown. */
    shown(): number[];
    /** Draw visible rows again (a decision has changed, say). */
    refresh(): void;
    /** Have this row in sight. */
    reveal(index: number): void;
    /** The row of an anchor, or -1. */
    indexOf(anchor: string): number;
    /** What has the focus: one row, all rows of a group on its heading; none while the focus is not in the list. */
    current(): number[];
    /** The rows that one meets going down the list: of a folded group of the same change only the one that stands for it. */
    steps(): number[];
    /** Called each time the heading of a group is drawn: gets the group's rows, and an empty element to fill (a button, say). */
    onGroup(fill: (indices: number[], place: HTMLElement) => void): void;
  };

  /** viewer.js. State keys: open, view (side, swipe, onion, blink, difference, mask, heat, orb, glance), frame, region. */
  viewer: {
    /** Open the comparison of this row; the list stays behind it. */
    open(index: number): void;
    close(): void;
    /** The open row, or -1. */
    current(): number;
    /** Extra content for the open comparison's panel: called each time one opens, gets an empty element to fill. */
    onOpen(fill: (index: number, detail: Detail, panel: HTMLElement) => void): void;
  };

  /** decide.js */
  decide: {
    of(index: number): Decision;
    /** One step of undo for all of them. */
    set(indices: number[], change: Partial<Decision>): void;
    undo(): void;
    redo(): void;
    manifest(): Promise<Manifest>;
    onChange(listener: () => void): void;
  };

  /** live.js, only on a served page. */
  server?: ServerPart;
}

/** What the list shows as one row: a comparison, or in merged runs all of one name. */
interface Entry {
  /** Indices of its rows, in the order of the columns. */
  rows: number[];
  /** Those that fit the filters; the first one stands for the entry. */
  fitting: number[];
}

type Facet = "outcome" | "verdict" | "metric" | "kind" | "size" | "column" | "folder" | "change";

/** One line of the list. */
type Item = GroupItem | EntryItem;
interface GroupItem {
  kind: "group";
  key: string;
  title: string;
  /** Rows of all its entries that fit. */
  rows: number[];
  open: boolean;
  /** Whether one entry stands for all while it is folded. */
  sameChange: boolean;
  position: number;
  setSize: number;
}
interface EntryItem {
  kind: "entry";
  entry: Entry;
  /** The key of its group, or null if nothing is grouped. */
  group: string | null;
  /** Whether its group is folded and this entry shown in place of all. */
  standsForAll: boolean;
  position: number;
  setSize: number;
}

/** Only what is in sight is in the document. */
interface VirtualList {
  /** Lay out anew: the number of lines, their heights or what is on them have changed. */
  layout(count: number): void;
  /** Have this line in sight. */
  reveal(line: number): void;
  /** The element of a line; null if it is out of sight. */
  elementOf(line: number): HTMLElement | null;
  /** How many lines of usual height fit on the screen. */
  page(): number;
}

declare var imgdiff: Imgdiff;
