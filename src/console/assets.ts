import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PageAnswer } from '#gateway/http/pages/page-source';
import { CONSOLE_PATH } from './console-route.ts';

const FILES = {
  'style.css': 'text/css; charset=utf-8',
  'console.mjs': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
} as const;
type AssetName = keyof typeof FILES;

interface Asset {
  readonly address: string;
  readonly answer: PageAnswer;
}

/** Assets by their names; read when the first page is shown. */
let assets: ReadonlyMap<string, Asset> | undefined;

/** Returns the address of an asset, which changes with its contents. */
export function assetAddress(name: AssetName): string {
  return all().get(name)?.address ?? '';
}

/** Returns the response to a name in an address of an asset; `undefined` if there is none. */
export function assetAt(name: string): PageAnswer | undefined {
  for (const { address, answer } of all().values()) if (address.endsWith(`/${name}`)) return answer;
  return undefined;
}

function all(): ReadonlyMap<string, Asset> {
  assets ??= new Map(
    Object.entries(FILES).map(([name, type]) => {
      const body = readFileSync(join(import.meta.dirname, 'assets', name));
      const digest = createHash('sha256').update(body).digest('hex').slice(0, 12);
      const address = `${CONSOLE_PATH}/assets/${digest}-${name}`;
      const headers = { 'Content-Type': type, 'Cache-Control': 'public, max-age=31536000, immutable' };
      return [name, { address, answer: { status: 200, headers, body } }];
    }),
  );
  return assets;
}
