import type { TextLines } from './text-lines.ts';

/** Matches what precedes converted fonts, which are long rows of hex digits. */
const FONT = /currentfile eexec[\t\n\f\r ]|\/sfnts[\t\n\f\r ]+\[/g;
const LINE_ENDS: readonly string[] = ['\n', '\r'];
const INDENTATION: readonly string[] = ['\t', '\f', ' '];
/**
 * Matches programs: their names have a version, whereas those of people and companies have no
 * digits; the words are programs without a version.
 */
const PROGRAM =
  /[0-9]|draw|mpage|ImageMagick|inkscape|MATLAB|PCBNEW|pnmtops|\(Unknown\)|Serif Affinity|Filterimage -tops/;

/**
 * Reports whether a PostScript file was written by a program, from its `%%Creator` or its contents.
 */
export function isGeneratedPostScript(lines: TextLines): boolean {
  if (hasFont(lines.text)) return true;
  const creator = lines.first(10).find((line) => line.startsWith('%%Creator: '));
  if (creator === undefined) return false;
  const isEagle =
    creator.includes('EAGLE') && lines.first(5).some((line) => line.startsWith('%%Title: EAGLE Drawing '));
  return isEagle || PROGRAM.test(creator);
}

/** Reports whether a font begins at the start of a line. */
function hasFont(text: string): boolean {
  return [...text.matchAll(FONT)].some(({ index }) => {
    let at = index - 1;
    while (at >= 0 && INDENTATION.includes(text.charAt(at))) at--;
    return at >= 0 && LINE_ENDS.includes(text.charAt(at));
  });
}
