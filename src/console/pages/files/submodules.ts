/** Longest `.gitmodules` that is read. */
export const MAX_GITMODULES_BYTES = 64 << 10;

const SECTION = /^\[submodule "(?<name>.*)"\]$/;
const QUOTED = /^"(?<text>.*)"$/;
const WEB = /^https?:\/\//;

/**
 * Returns the address of the submodule at a path, as a `.gitmodules` file gives it; `undefined`
 * without one.
 *
 * @see gitmodules(5)
 */
export function submoduleAddress(gitmodules: string, path: string): string | undefined {
  let found: { path?: string; url?: string } = {};
  for (const raw of gitmodules.split('\n')) {
    const line = raw.trim();
    if (SECTION.test(line)) found = {};
    const equals = line.indexOf('=');
    const key = line.slice(0, Math.max(0, equals)).trim().toLowerCase();
    if (key === 'path' || key === 'url') found[key] = unquoted(line.slice(equals + 1).trim());
    if (found.path === path && found.url !== undefined) return found.url;
  }
  return undefined;
}

function unquoted(value: string): string {
  return QUOTED.exec(value)?.groups?.text ?? value;
}

/** Reports whether an address can be opened in a browser. */
export function isWebAddress(address: string): boolean {
  return WEB.test(address) && URL.canParse(address);
}
