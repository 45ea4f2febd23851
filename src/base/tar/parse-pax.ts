/** The attributes of a pax header that change an entry. */
export interface PaxAttributes {
  name?: Buffer;
  linkName?: Buffer;
  /** Bytes of the content. */
  size?: number;
  /** Whole seconds since 1970. */
  mtime?: number;
}

/** Parses the records `<length> <key>=<value>\n` of a pax header; damaged ones end it. */
export function parsePax(data: Buffer): PaxAttributes {
  const attributes: PaxAttributes = {};
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const length = Number(data.toString('latin1', at, space === -1 ? at : space));
    const equals = data.indexOf(0x3d, space);
    const end = at + length;
    if (!Number.isInteger(length) || length <= 0 || end > data.length || equals === -1 || equals >= end)
      break;
    const value = data.subarray(equals + 1, end - 1);
    const key = data.toString('latin1', space + 1, equals);
    if (key === 'path') attributes.name = value;
    else if (key === 'linkpath') attributes.linkName = value;
    else if (key === 'size' && /^\d{1,15}$/.test(value.toString('latin1')))
      attributes.size = Number(value.toString('latin1'));
    else if (key === 'mtime' && /^\d{1,11}(?:\.\d*)?$/.test(value.toString('latin1')))
      attributes.mtime = Math.floor(Number(value.toString('latin1')));
    at = end;
  }
  return attributes;
}
