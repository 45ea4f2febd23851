import { Secret } from '#base/secret';

/** Replaces a {@link Secret} in a message. */
interface PackedSecret {
  readonly packedSecret: string;
}

/**
 * Prepares plain values (a configuration) for the channel to another process of this server, whose
 * serializer would turn secrets into empty objects.
 */
export function pack(value: unknown): unknown {
  if (value instanceof Secret) return { packedSecret: value.reveal() } satisfies PackedSecret;
  if (Array.isArray(value)) return value.map(pack);
  return isObject(value) ? mapValues(value, pack) : value;
}

/** Restores what {@link pack} has made. */
export function unpack(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unpack);
  if (!isObject(value)) return value;
  const { packedSecret } = value;
  return typeof packedSecret === 'string' ? new Secret(packedSecret) : mapValues(value, unpack);
}

type PlainObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null;
}

function mapValues(object: PlainObject, map: (value: unknown) => unknown): PlainObject {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, map(value)]));
}
