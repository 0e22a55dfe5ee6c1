/** What the scripts of the upload page share, beside what `imgdiff.d.ts` says. */

type UploadSide = "expected" | "actual";

interface UploadPart {
  /** The chosen images of each side, by name: a path below the chosen folder, or the file's own name. */
  readonly chosen: Record<UploadSide, Map<string, File>>;
  /** Called whenever these change. */
  onChange(listener: () => void): void;
}

interface Imgdiff {
  /** upload_files.js, only on the upload page. */
  upload?: UploadPart;
}
