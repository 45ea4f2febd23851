/**
 * Generates `src/domain/license/licenses.jsonl` from the license texts of the SPDX list.
 *
 * npm pack spdx-license-list && tar -xzf spdx-license-list-*.tgz
 * node --conditions=source scripts/generate-licenses.ts package/spdx-full.json
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { wordsOf } from '../src/domain/license/normalize.ts';
import { encodeSketch, sketchOf } from '../src/domain/license/sketch.ts';

interface SpdxLicense {
  readonly name: string;
  /** Possibly several lines. */
  readonly url?: string;
  readonly licenseText: string;
  readonly osiApproved?: boolean;
}

const TARGET = join(import.meta.dirname, '../src/domain/license/licenses.jsonl');
/** Names of one text of which 19.0 only returns the one with a plus sign. */
const GPL_WITHOUT_PLUS = /^GPL-\d\.0(?:-only|-or-later)?$/;

const [file = ''] = process.argv.slice(2);
const list: Readonly<Record<string, SpdxLicense>> = JSON.parse(readFileSync(file, 'utf8'));
const { version } = JSON.parse(readFileSync(join(dirname(file), 'package.json'), 'utf8'));

const bySketch = new Map<string, object>();
const ids = Object.keys(list).sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
for (const id of ids) {
  const license = list[id];
  if (license === undefined || GPL_WITHOUT_PLUS.test(id)) continue;
  const sketch = encodeSketch(sketchOf(wordsOf(license.licenseText)));
  // Of several names of one text, 19.0 returns the first.
  if (sketch === '' || bySketch.has(sketch)) continue;
  bySketch.set(sketch, {
    id,
    name: license.name,
    url: urlOf(id, license),
    ...(license.osiApproved === true && { isCommon: true }),
    sketch,
  });
}
const source = { source: `spdx-license-list ${version}`, license: 'CC0-1.0' };
const lines = [source, ...bySketch.values()].map((record) => `${JSON.stringify(record)}\n`);
writeFileSync(TARGET, lines.join(''));
console.log(`${lines.length - 1} licenses`);

/** The list that 19.0 contains has the older form of the addresses at opensource.org. */
function urlOf(id: string, { url = '' }: SpdxLicense): string {
  const [first = ''] = url.split('\n');
  return /^https?:\/\/opensource\.org\/licenses?\//.test(first)
    ? `https://opensource.org/licenses/${id}`
    : first;
}
