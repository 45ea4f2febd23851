import { CALL_LIMIT_MS, type HostileCall, type Outcome } from './caller.ts';
import { OTHER_SECRET, SECRET } from './sandbox.ts';

/** git took a value for an option, or tried to. */
const OPTION_COMPLAINT =
  /unknown (?:option|switch)|unrecognized argument|invalid option|options not supported|ambiguous argument '-|option [`'][^`'…]*' (?:requires|takes)/;
/**
 * git explains itself after an option that it does not take, but also after revisions that do not
 * make a range.
 */
const USAGE = /(?<!need two commit ranges(?:\\n)*)usage: git/;
/**
 * Places at which a value could begin an option: its start, or a position at which git or a line
 * feed cuts it. Options that represent revisions are accepted as such.
 */
const LIKE_AN_OPTION = /(?:^|[\s^]|\.\.)-(?!-(?:all|not|branches|tags|alternate-refs)\b|-glob=)/;
/** An error that our own code did not mean to throw, or Node's text where Go's belongs. */
const OWN_ERROR =
  /Cannot (?:read|set|destructure|convert|mix|access)|is not (?:a function|iterable|defined|a constructor)|\bERR_[A-Z_]+|\b(?:Type|Range|Reference|Syntax)Error\b|Invalid (?:array|string|count|time) |Maximum call stack|Assertion|\[object |\bE[A-Z]{3,}: \w+|Unexpected (?:token|end)|must be (?:of type|one of)|\bundefined\b|\bNaN\b/;
const INTERNAL = new Set(['INTERNAL', 'UNKNOWN']);

/** The server refuses options among these revisions itself, with the words that clients know. */
function isRefusedInGitsWords({ method, field }: HostileCall): boolean {
  return method.name === 'CreateBundleFromRefList' && /^(?:patterns|\.\*)$/.test(field);
}

/** Lists what is wrong with the outcome of a call and with what the server has logged of it. */
export function findingsOf(call: HostileCall, outcome: Outcome, log: string): string[] {
  const findings: string[] = [];
  const { code, message, bytes, tookMs } = outcome;
  const value = valueText(call);
  const said = withoutEcho(message, value);
  const logged = withoutEcho(log, value);
  if (!isMeantForGit(call) && !isRefusedInGitsWords(call)) {
    for (const text of [said, logged]) {
      const complaint = OPTION_COMPLAINT.exec(text) ?? (couldBeOption(call) ? USAGE.exec(text) : null);
      if (complaint !== null) findings.push(`git complains of an option: ${around(text, complaint.index)}`);
    }
  }
  const own = INTERNAL.has(code) ? OWN_ERROR.exec(said) : null;
  if (own !== null) findings.push(`an error of our own code: ${around(said, own.index)}`);
  const exception = /uncaught|unhandled|unexpected exception/i.exec(logged);
  if (exception !== null) findings.push(`an exception is logged: ${around(logged, exception.index)}`);
  if (tookMs > CALL_LIMIT_MS - 1000) findings.push(`took ${Math.round(tookMs)} ms`);
  if (bytes.includes(SECRET) || message.includes(SECRET))
    findings.push('returned a file outside of all repositories');
  if (!namesRepository(call) && (bytes.includes(OTHER_SECRET) || message.includes(OTHER_SECRET)))
    findings.push('returned a file of another repository');
  return findings;
}

/** Directories of objects go to git in variables; one that is wrong leaves git without repository. */
function couldBeOption(call: HostileCall): boolean {
  if (/_object_director(?:y|ies)$/.test(call.field)) return false;
  return valueText(call).some((text) => LIKE_AN_OPTION.test(text));
}

/** The words of pack-objects and the settings of git come from the caller as they are: by design. */
function isMeantForGit({ method, field }: HostileCall): boolean {
  return (/^PackObjectsHook/.test(method.name) && field === 'args') || field === 'git_config_options';
}

/** Reports whether a field names a repository: it may name any. */
export function namesRepository({ field }: HostileCall): boolean {
  return /(?:^|[._])repository\.(?:storage_name|relative_path)$|^relative_path$/.test(field);
}

/** The texts of the requests; of a reference also the short name, as git says it. */
function valueText({ requests, value }: HostileCall): string[] {
  const texts = [...textsIn(requests), value.toString()];
  return texts.flatMap((text) => [text, text.replace(/^refs\/(?:heads|tags|remotes)\//, '')]);
}

function* textsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (value instanceof Uint8Array) yield Buffer.from(value).toString();
  else if (typeof value === 'object' && value !== null)
    for (const part of Object.values(value)) yield* textsIn(part);
}

/** An error may repeat the value that it is about. */
function withoutEcho(text: string, values: readonly string[]): string {
  let rest = text;
  for (const value of [...values].sort((one, other) => other.length - one.length))
    if (value.length > 2) rest = rest.replaceAll(value, '…');
  return rest;
}

function around(text: string, at: number): string {
  return JSON.stringify(text.slice(Math.max(0, at - 60), at + 300));
}
