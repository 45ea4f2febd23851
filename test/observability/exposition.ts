/** One family of an exposition, comparable with a line of the recorded list. */
export interface Described {
  readonly type: string;
  /** Names of the labels, sorted. */
  readonly labels: string;
  /** Upper bounds of the buckets, without infinity. */
  readonly buckets: string;
}

/** Formats a bound as the recorded list does. */
function sixDigits(bound: string): string {
  const value = Number(bound);
  if (value < 1e6) return String(Number(value.toPrecision(6)));
  return value
    .toExponential(5)
    .replace(/\.?0*e\+(\d)$/, 'e+0$1')
    .replace(/\.?0*e/, 'e');
}

/** Returns the families of a text exposition, by name. */
export function familiesOf(exposition: string): Map<string, Described> {
  const families = new Map<string, Described>();
  for (const family of exposition.split('# HELP ').slice(1)) {
    const [, name = '', type = ''] = /# TYPE (\w+) (\w+)/.exec(family) ?? [];
    const labels = new Set(Array.from(family.matchAll(/[{,](\w+)="/g), ([, label = '']) => label));
    labels.delete('le');
    const bounds = new Set(Array.from(family.matchAll(/[{,]le="([^"]+)"/g), ([, bound = '']) => bound));
    bounds.delete('+Inf');
    families.set(name, {
      type,
      labels: [...labels].sort().join(','),
      buckets: [...bounds].map(sixDigits).join(','),
    });
  }
  return families;
}

/** Returns the families of the recorded list, by name. */
export function recordedFamilies(list: string): Map<string, Described> {
  const lines = list.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [name = '', type = '', labels = '', buckets = ''] = line.split('\t');
      return [name, { type, labels, buckets }];
    }),
  );
}

/** Returns the sum of a family's values, over the series whose labels match. */
export function sumOf(
  exposition: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  let sum = 0;
  for (const [, text = '', value] of exposition.matchAll(
    new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, 'gm'),
  )) {
    const matches = Object.entries(labels).every(([label, wanted]) =>
      `,${text}`.includes(`,${label}="${wanted}"`),
    );
    if (matches) sum += Number(value);
  }
  return sum;
}
