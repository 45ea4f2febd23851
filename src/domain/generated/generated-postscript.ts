import type { TextLines } from './text-lines.ts';

/**
 * Fonts that were converted are long rows of hex digits behind these words, at the start of a line. What stands before is looked at last, so that
 * a text of line feeds takes no time.
 */
const FONT = /(?<=[\n\r][\t\n\f\r ]*)(?:currentfile eexec[\t\n\f\r ]|\/sfnts[\t\n\f\r ]+\[)/;
/** Programs say their version, people and companies have no digits in their names; the words are programs that do not. */
const PROGRAM = /[0-9]|draw|mpage|ImageMagick|inkscape|MATLAB|PCBNEW|pnmtops|\(Unknown\)|Serif Affinity|Filterimage -tops/;

/** Whether a PostScript file was written by a program, by its `%%Creator` or what it holds. */
export function isGeneratedPostScript(lines: TextLines): boolean {
  if (FONT.test(lines.text)) return true;
  const creator = lines.first(10).find((line) => line.startsWith('%%Creator: '));
  if (creator === undefined) return false;
  const isEagle = creator.includes('EAGLE') && lines.first(5).some((line) => line.startsWith('%%Title: EAGLE Drawing '));
  return isEagle || PROGRAM.test(creator);
}
