/** The parts of deciding, as they know each other; the rest of the page sees only `imgdiff.decide`. */

/** What one step of undo takes back. */
interface DecisionStep {
  before: Map<number, Decision>;
  after: Map<number, Decision>;
  /** The row whose comment is being written, so that letters in a row are one step; -1 for any other step. */
  writing: number;
}

interface DecisionCounts {
  accepted: number;
  rejected: number;
  commented: number;
  /** Failed comparisons that are neither accepted nor rejected. */
  open: number;
}

/** What an imported manifest came to. */
interface Imported {
  decisions: Map<number, Decision>;
  /** How many of its comparisons this report does not have. */
  unknown: number;
  /** How many accepted images are not those of this report. */
  other: number;
}

/** One choice of a dialog. */
interface DialogChoice {
  label: string;
  /** Called after the dialog has closed, so that the focus is back on the page. */
  does(): void;
}

interface Imgdiff {
  /** decide_kept.js: decisions in the browser's own store, for this run. */
  kept: {
    /** Whether what is decided outlives the page, as far as is known. */
    readonly works: boolean;
    /** What was decided when the page was last open. */
    read(): Map<number, Decision>;
    write(decisions: Map<number, Decision>): void;
    /** Called with what another tab of the same report has decided. */
    /** Take the decisions on comparisons that have been loaded by now. */
    arrived(): Map<number, Decision>;
    onElsewhere(listener: (decisions: Map<number, Decision>) => void): void;
  };

  /** decide_store.js: what is decided, with undo. */
  decisions: {
    of(index: number): Decision;
    /** Whether the report holds what this decision needs: all can be rejected. */
    allows(index: number, decision: Decision["decision"]): boolean;
    /** Whether this decision writes an image: it is accepted, as the baseline or as an alternative. */
    writes(decision: Decision["decision"]): boolean;
    all(): ReadonlyMap<number, Decision>;
    /** Decide all of them in one step of undo; what cannot be accepted is left. Returns how many have changed. */
    set(indices: Iterable<number>, change: Partial<Decision>): number;
    /** Each its own decision, in one step of undo. */
    put(decisions: Map<number, Decision>): number;
    undo(): boolean;
    /** Forget the steps so far: what was carried out is not taken back by undo. */
    settle(): void;
    redo(): boolean;
    canUndo(): boolean;
    canRedo(): boolean;
    counts(): DecisionCounts;
    onChange(listener: () => void): void;
  };

  /** decide_manifest.js */
  manifests: {
    build(): Promise<Manifest>;
    /** What the manifest says of these rows. */
    decisionsOn(indices: number[]): Promise<ManifestDecision[]>;
    /** Read an exported manifest; throws an Error with a message for the reader. */
    read(text: string): Promise<Imported>;
    /** Have the browser save it. */
    download(manifest: Manifest): void;
  };

  /** decide_dialogs.js */
  dialogs: {
    confirm(title: string, words: string, choice: DialogChoice): void;
    /** Ask for a comment. */
    comment(title: string, before: string, save: (comment: string) => void): void;
    /** Tell several lines, and possibly a command to copy. */
    tell(title: string, lines: string[], command?: string): void;
    /** Copies the text, and says whether that could be done. */
    copied(text: string, beside: HTMLElement): Promise<boolean>;
    copyButton(text: string): HTMLButtonElement;
  };

  /** decide_actions.js: what keys and buttons do. */
  actions: {
    /** What is looked at: the open comparison, else what the list's cursor is on. */
    current(): number[];
    decide(indices: number[], decision: Decision["decision"]): void;
    comment(indices: number[]): void;
    /** The same for everything that the list shows, once it was confirmed. */
    decideShown(decision: Decision["decision"]): void;
    commentShown(): void;
    undo(): void;
    redo(): void;
    clear(): void;
    exportAll(): Promise<void>;
    importFrom(file: File): Promise<void>;
    /** On a served page: have these written now; all accepted ones where omitted. */
    acceptNow(indices?: number[]): Promise<void>;
    /** Why there is nothing to accept, as a sentence. */
    reason(index: number): string;
    /** What was done last, in words. */
    readonly message: string;
    onMessage(listener: () => void): void;
  };
}
