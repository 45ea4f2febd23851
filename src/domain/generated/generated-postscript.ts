import type { TextLines } from './text-lines.ts';

/**
 * Matches converted fonts: long rows of hex digits after these words, at the start of a line. The
 * text before is matched last, so that a text of line feeds takes no time.
 */
const FONT = /(?<=[\n\r][\t\n\f\r ]*)(?:currentfile eexec[\t\n\f\r ]|\/sfnts[\t\n\f\r ]+\[)/;
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
  if (FONT.test(lines.text)) return true;
  const creator = lines.first(10).find((line) => line.startsWith('%%Creator: '));
  if (creator === undefined) return false;
  const isEagle =
    creator.includes('EAGLE') && lines.first(5).some((line) => line.startsWith('%%Title: EAGLE Drawing '));
  return isEagle || PROGRAM.test(creator);
}
