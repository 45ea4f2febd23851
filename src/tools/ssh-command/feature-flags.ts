/** What Go's `strconv.ParseBool` takes. */
const BOOLEANS: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(['1', 't', 'T', 'true', 'TRUE', 'True'].map((word) => [word, true])),
  ...Object.fromEntries(['0', 'f', 'F', 'false', 'FALSE', 'False'].map((word) => [word, false])),
};

/** Reads `name:true,other_name:false`. What is not of that shape is left out. */
export function parseFeatureFlags(text: string): Record<string, boolean> {
  const flags: Record<string, boolean> = {};
  for (const pair of text.split(',')) {
    const [name = '', ...value] = pair.split(':');
    const isOn = BOOLEANS[value.join(':')];
    if (name !== '' && isOn !== undefined) flags[name] = isOn;
  }
  return flags;
}
