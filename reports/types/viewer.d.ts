/** The parts of the viewer, as they know each other; the rest of the page sees only `imgdiff.viewer`. */

interface Point {
  x: number;
  y: number;
}

interface Size {
  width: number;
  height: number;
}

interface Box extends Point, Size {}

type ViewName = "side" | "swipe" | "onion" | "blink" | "difference" | "mask" | "heat" | "orb" | "glance";

/** How an image is drawn: as it is, in faint gray below the mask, or as the mask in one colour. */
type LayerRole = "expected" | "actual" | "faint" | "tint" | "mask" | "heat" | "matches";

type Side = "expected" | "actual";
type Region = Detail["regions"][number];

/** A part of an image, and where it is shown in the plan. */
interface Slice extends Box {
  at: Point;
}

/** A part of the plan that the image of this role does not have. */
interface Gap extends Box {
  role: LayerRole;
}

interface LayerPlan extends Size {
  figure: Figure;
  role: LayerRole;
  /** Which part is shown, and where; all of it, from the top left, where omitted. */
  slice?: Slice;
}

interface PanePlan {
  caption: string;
  layers: LayerPlan[];
  /** What is said in place of images where there are none. */
  absent: string;
  /** Parts that an image of this pane does not have. */
  gaps?: Gap[];
  /** Where a region is in this pane, or null if its image does not have it; as it lies where omitted. */
  place?(region: Region): Box | null;
}

/** What a view shows of one comparison: panes of one size, all looking at the same point of an image this large. */
interface Plan extends Size {
  panes: PanePlan[];
  /** Whether the pixels shown are those of the compared pictures: regions and colours have their places there. */
  compared: boolean;
  /** Where a region is in the plan; as it lies where omitted. */
  place?(region: Region): Box;
}

interface View {
  name: ViewName;
  title: string;
  /** What it is good for, in one sentence. */
  hint: string;
  /** Why it cannot show this comparison, or "". */
  lacks(subject: Subject): string;
  /** Views that come nearest, the nearest first; side by side shows everything. */
  nearest: ViewName[];
  plan(subject: Subject): Plan;
}

/** The open comparison, its figures told apart. */
interface Subject extends Size {
  index: number;
  row: Row;
  detail: Detail;
  expected: Figure | null;
  actual: Figure | null;
  mask: Figure | null;
  heats: Figure[];
  matches: Figure | null;
  /** Which of several frames is shown, or null. */
  frame: FrameDetail | null;
}

interface Pane {
  plan: PanePlan;
  /** The window through which the image is seen. */
  window: HTMLElement;
  /** Holds the layers; its origin is the image's top left corner. */
  plane: HTMLElement;
  layers: { plan: LayerPlan; box: HTMLElement; image: HTMLImageElement }[];
  gaps: { plan: Gap; box: HTMLElement }[];
  caption: HTMLElement;
  /** Holds the outlines of the regions. */
  outlines: SVGSVGElement;
  /** Holds the pixel grid. */
  grid: HTMLCanvasElement;
}

interface Viewing {
  /** viewer.js */
  subject: Subject | null;
  /** The view that is shown; what was chosen is in the state. */
  view: ViewName;
  openAt(index: number): void;
  step(by: number): void;
  choose(view: ViewName): void;
  /** Pad both images so that equal parts lie at one place, or show them as they lie. */
  align(): void;
  /** In a report of several runs: the same name in the next of them. */
  otherRun(): void;
  /** Show another of several frames. */
  chooseFrame(frame: number): void;
  /** Show the next of several frames that fail or warn, or the one before. */
  stepFrame(by: number): void;

  /** viewer_camera.js: where all panes look. Points are in pixels of the window of a pane; scale is in those per pixel of the image. */
  camera: {
    readonly scale: number;
    /** Screen pixels per pixel of the picture: 1 is true size, also on screens of high density. */
    readonly enlargement: number;
    /** Where the image's top left corner is, on whole screen pixels. */
    readonly origin: Point;
    readonly pane: Size;
    readonly picture: Size;
    /** The part of the image that is seen. */
    readonly seen: Box;
    readonly canPan: boolean;
    /** Whether the image is so tall that it is read from top to bottom, not looked at as a whole. */
    readonly tall: boolean;
    frame(picture: Size, pane: Size, anew: boolean): void;
    fit(): void;
    whole(): void;
    fitWidth(): void;
    trueSize(): void;
    zoom(by: number, at?: Point): void;
    /** To the next step of a ladder of round scales. */
    step(up: boolean, at?: Point): void;
    /** Move the image within its edges. */
    pan(x: number, y: number): void;
    /** Move the image with the hand, past its edges too. */
    drag(x: number, y: number): void;
    centre(point: Point): void;
    lookAt(box: Box): void;
    toPicture(point: Point): Point;
    onChange(listener: () => void): void;
  };

  /** viewer_views.js */
  views: {
    all: View[];
    /** The view that is shown where this one was chosen. */
    shown(chosen: ViewName, subject: Subject): View;
    /** Whether this view can show both images padded. */
    canPad(view: ViewName, subject: Subject): boolean;
    /** The layers of both images, placed as in this view. */
    sides(view: ViewName, subject: Subject): LayerPlan[];
  };

  /** viewer_stage.js */
  stage: {
    element: HTMLElement;
    panes: Pane[];
    /** Draw this plan; `anew` where another comparison is opened. */
    show(plan: Plan, anew: boolean): void;
    onShow(listener: (plan: Plan, anew: boolean) => void): void;
    hint(text: string): void;
  };

  /** viewer_gestures.js */
  gestures: {
    listen(stage: HTMLElement): void;
    /** Called with the point of a pane's window under the pointer, or null when it leaves. */
    onHover(listener: (point: Point | null) => void): void;
    /** Called when the pointer is pressed and released in one place. */
    onPoke(listener: (point: Point) => void): void;
  };

  /** viewer_tuning.js: what can be set within a view. */
  tuning: {
    element: HTMLElement;
    show(view: ViewName): void;
    /** One step more (1) or less (-1) of what the view has to set. */
    nudge(by: number): void;
    /** The figure of the heat that was chosen. */
    heat(subject: Subject): Figure | null;
  };

  /** viewer_blink.js */
  blink: {
    rate: number;
    readonly running: boolean;
    start(): void;
    stop(): void;
    flip(): void;
    onChange(listener: () => void): void;
  };

  /** viewer_swipe.js */
  swipe: {
    /** The divider's place: 0 at the left edge of what is seen of the images, 1 at the right. */
    place: number;
  };

  /** viewer_regions.js: the selected region is the state's "region", counted from 1. */
  regions: {
    shown: boolean;
    toggle(): void;
    /** The boxes of all regions in the plan that is shown. */
    boxes(): Box[];
    /** Select a region and have all panes look at it. */
    jump(index: number): void;
    step(by: number): void;
    highlight(index: number): void;
    readonly selected: number;
    /** The smallest region at a point of the image, or -1. */
    at(point: Point): number;
    onHighlight(listener: (index: number) => void): void;
  };

  /** viewer_pixels.js: the colours of both images at a pixel. */
  pixels: {
    element: HTMLElement;
  };

  /** viewer_minimap.js */
  minimap: { element: HTMLElement };

  /** viewer_bar.js */
  bar: {
    element: HTMLElement;
    heading: HTMLElement;
    show(subject: Subject): void;
  };

  /** viewer_panel.js */
  panel: {
    element: HTMLElement;
    show(subject: Subject): void;
    /** Copies the chosen region, or the first, as an ignore area. */
    copyArea(): void;
    toggle(): void;
  };

  /** viewer_glance.js: the page of the view "glance"; null takes it away. */
  glance: {
    element: HTMLElement;
    show(subject: Subject | null): void;
  };

  /** viewer_facts.js: sections of the panel. */
  facts: {
    rules(detail: Detail): Node[];
    /** Of a captured page: where it was, in which browser, and links to what else shows it. */
    capture(detail: Detail): Node[];
    notes(detail: Detail): Node[];
    files(subject: Subject): Node[];
    accept(detail: Detail): Node[];
    origin(subject: Subject): Node[];
  };
}

interface Imgdiff {
  viewing: Viewing;
}
