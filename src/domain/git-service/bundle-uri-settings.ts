import type { ConfigPair } from '#git/command/config';

/**
 * Returns the settings with which `git upload-pack` offers a bundle to clients of protocol v2. The
 * bundle has the history up to when it was made; its token never changes, so that a client
 * downloads it once.
 *
 * @param url address of the bundle; `undefined` if there is none.
 */
export function bundleUriSettings(url: string | undefined): ConfigPair[] {
  if (url === undefined) return [advertising(false)];
  return [
    { key: 'bundle.version', value: '1' },
    { key: 'bundle.mode', value: 'all' },
    { key: 'bundle.heuristic', value: 'creationToken' },
    // Whoever has the address can download the bundle.
    { key: 'bundle.default.uri', value: url, secret: true },
    { key: 'bundle.default.creationToken', value: '1' },
    advertising(true),
  ];
}

/** Returns the setting that announces bundles among git's capabilities. */
export function advertisesBundleUri(url: string | undefined): ConfigPair {
  return advertising(url !== undefined);
}

function advertising(isOffered: boolean): ConfigPair {
  return { key: 'uploadpack.advertiseBundleURIs', value: String(isOffered) };
}
