import { parseBool } from '#base/go/strconv';

/** Parses `name:true,other_name:false`. Ignores malformed items. */
export function parseFeatureFlags(text: string): Record<string, boolean> {
  const flags: Record<string, boolean> = {};
  for (const pair of text.split(',')) {
    const [name = '', ...value] = pair.split(':');
    const isOn = parseBool(value.join(':'));
    if (name !== '' && isOn !== undefined) flags[name] = isOn;
  }
  return flags;
}
