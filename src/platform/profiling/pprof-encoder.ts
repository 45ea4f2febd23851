import { BinaryWriter } from '@bufbuild/protobuf/wire';

/** One function in a stack. */
export interface ProfileFrame {
  readonly name: string;
  /** Empty for functions of the engine. */
  readonly file: string;
  /** From 1; 0 if unknown. */
  readonly line: number;
}

export interface Sample {
  /** Innermost function first. */
  readonly stack: readonly ProfileFrame[];
  /** One for each of the profile's types. */
  readonly values: readonly number[];
}

export interface Profile {
  /** Kinds of the values: `['cpu', 'nanoseconds']`. */
  readonly types: readonly (readonly [type: string, unit: string])[];
  readonly samples: readonly Sample[];
  readonly durationMs: number;
  readonly startedAtMs: number;
}

const NANOSECONDS_PER_MS = 1_000_000;

/**
 * Encodes a profile in pprof's format, not compressed.
 *
 * @see the message Profile of pprof; the numbers below are its fields.
 */
export function encodePprof(profile: Profile): Uint8Array {
  const writer = new BinaryWriter();
  const strings = new Numbers(0);
  strings.of('');
  const frames = new Numbers(1);
  const places: ProfileFrame[] = [];
  const locationOf = (frame: ProfileFrame): number => {
    const id = frames.of(`${frame.name}\0${frame.file}\0${frame.line}`);
    places[id - 1] ??= frame;
    return id;
  };
  for (const [type, unit] of profile.types) writeType(writer.tag(1, 2).fork(), strings, [type, unit]).join();
  for (const { stack, values } of profile.samples) {
    const sample = writer.tag(2, 2).fork();
    packed(sample, 1, stack.map(locationOf));
    packed(sample, 2, values).join();
  }
  for (const [index, { name, file, line }] of places.entries()) {
    const id = index + 1;
    const location = writer.tag(4, 2).fork().tag(1, 0).uint64(id);
    location.tag(4, 2).fork().tag(1, 0).uint64(id).tag(2, 0).int64(line).join().join();
    const func = writer.tag(5, 2).fork().tag(1, 0).uint64(id).tag(2, 0).int64(strings.of(name));
    func.tag(4, 0).int64(strings.of(file)).tag(5, 0).int64(line).join();
  }
  for (const text of strings.texts) writer.tag(6, 2).string(text);
  writer.tag(9, 0).int64(BigInt(Math.round(profile.startedAtMs)) * BigInt(NANOSECONDS_PER_MS));
  writer.tag(10, 0).int64(BigInt(Math.round(profile.durationMs * NANOSECONDS_PER_MS)));
  return writer.finish();
}

function writeType(
  writer: BinaryWriter,
  strings: Numbers,
  [type, unit]: readonly [string, string],
): BinaryWriter {
  return writer.tag(1, 0).int64(strings.of(type)).tag(2, 0).int64(strings.of(unit));
}

function packed(writer: BinaryWriter, field: number, values: readonly number[]): BinaryWriter {
  writer.tag(field, 2).fork();
  for (const value of values) writer.int64(Math.round(value));
  return writer.join();
}

/** Numbers texts in the order of their first use. */
class Numbers {
  readonly #ids = new Map<string, number>();
  readonly #first: number;

  constructor(first: number) {
    this.#first = first;
  }

  of(text: string): number {
    const id = this.#ids.get(text) ?? this.#ids.size + this.#first;
    this.#ids.set(text, id);
    return id;
  }

  get texts(): Iterable<string> {
    return this.#ids.keys();
  }
}
