import { list, number, object, optional, type Shape, text } from '#base/shape';
import type { ProcessStart, ProcessStats } from '#git/command/process/start-process';
import { maskUrlCredentials } from '#platform/log/mask-urls';
import { EXPLAIN, EXPLANATION } from '#rpc/common/header-names';
import type { ServerCall, ServerInterceptor } from '#rpc/server/server-call';

/** One git command of a call. A command that has not ended has no times and no exit code. */
interface ExplainedCommand {
  readonly args: readonly string[];
  wall_ms?: number;
  cpu_ms?: number;
  exit_code?: number;
}

const explainedCommand: Shape<ExplainedCommand> = object({
  args: list(text),
  wall_ms: optional(number),
  cpu_ms: optional(number),
  exit_code: optional(number),
});

/** Number of listed commands; further ones are only counted. */
const MAX_COMMANDS = 50;
const MAX_ARGUMENTS = 40;
const MAX_ARGUMENT_CHARS = 200;
/** Limit of the JSON text. Clients accept 8 KiB of trailers, as base64 and with their own keys. */
const MAX_BYTES = 5000;

/** Fields of the log line about caches, waits, the cost of git, and the nodes of a cluster. */
const FACTS = /^(command|catfile|in_process|limit|pack_objects_cache|diskcache|route|cluster)(\.|$)/;

/** The work of a call: its git commands, and log fields about caches, limits and cost. */
export interface CallExplanation {
  readonly time_ms: number;
  readonly commands: readonly ExplainedCommand[];
  readonly omitted_commands: number;
  readonly [field: string]: unknown;
}

/** The fields of log lines are any values. */
export const callExplanation: Shape<CallExplanation> = object({
  time_ms: number,
  commands: list(explainedCommand),
  omitted_commands: number,
});

const commandsOf = new WeakMap<ServerCall, Explanation>();

class Explanation {
  readonly #commands: ExplainedCommand[] = [];
  #started = 0;

  start({ argv }: ProcessStart): ExplainedCommand | undefined {
    this.#started++;
    if (this.#commands.length === MAX_COMMANDS) return undefined;
    const args = withoutSettings(argv.map(String)).slice(0, MAX_ARGUMENTS).map(shorten);
    const command: ExplainedCommand = { args };
    this.#commands.push(command);
    return command;
  }

  /** Returns the explanation so far. */
  read(call: ServerCall): CallExplanation {
    return this.#part(call, this.#commands.length, factsOf(call));
  }

  /** Returns JSON of at most {@link MAX_BYTES}: the last commands, then the facts, are left out. */
  toJson(call: ServerCall): Buffer {
    const facts = factsOf(call);
    for (let count = this.#commands.length; count >= 0; count--) {
      const bytes = this.#json(call, count, facts);
      if (bytes.length <= MAX_BYTES) return bytes;
    }
    return this.#json(call, 0, {});
  }

  #json(call: ServerCall, count: number, facts: Readonly<Record<string, unknown>>): Buffer {
    return Buffer.from(JSON.stringify(this.#part(call, count, facts)));
  }

  #part(call: ServerCall, count: number, facts: Readonly<Record<string, unknown>>): CallExplanation {
    return {
      time_ms: round(performance.now() - call.startedAtMs),
      commands: this.#commands.slice(0, count),
      omitted_commands: this.#started - count,
      ...facts,
    };
  }
}

function factsOf({ logFields }: ServerCall): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(logFields).filter(([key]) => FACTS.test(key)));
}

/** Returns the explanation of a call. From the first call of this function on it lists commands. */
export function beginExplanation(call: ServerCall): Pick<Explanation, 'read' | 'toJson'> {
  let explanation = commandsOf.get(call);
  if (explanation === undefined) {
    explanation = new Explanation();
    commandsOf.set(call, explanation);
  }
  return explanation;
}

/**
 * Explains a call that requests it with `x-gitaly-explain: true`: its trailer
 * `x-gitaly-explanation-bin` is JSON with the git commands that ran for it (`args`, `wall_ms`,
 * `cpu_ms`, `exit_code`) and the log fields about caches, limits and cost. Arguments contain paths
 * of the server, so only an operator's configuration allows this.
 */
export const explainCall: ServerInterceptor = (call) => {
  if (call.headers.get(EXPLAIN) !== 'true') return undefined;
  const explanation = beginExplanation(call);
  return {
    end: ({ context }) => context.trailers.set(EXPLANATION, explanation.toJson(call)),
  };
};

/**
 * Adds a command to the explanation of its call, if the call requested one. @returns the function
 * to call at the end of the command.
 */
export function explainCommand(
  call: ServerCall | undefined,
  start: ProcessStart,
): ((stats: ProcessStats) => void) | undefined {
  const command = call && commandsOf.get(call)?.start(start);
  if (command === undefined) return undefined;
  return ({ exit: { code, realMs, usage } }) => {
    command.wall_ms = round(realMs);
    if (usage !== undefined) command.cpu_ms = round(usage.userMs + usage.systemMs);
    if (code !== undefined) command.exit_code = code;
  };
}

/** Leaves out the `-c` of every command, which would hide its own arguments. */
function withoutSettings(args: readonly string[]): string[] {
  const isSetting = (index: number): boolean =>
    args[index] === '-c' && /^[\w.-]+=/.test(args[index + 1] ?? '');
  return args.filter((_, index) => !isSetting(index) && !isSetting(index - 1));
}

function shorten(argument: string): string {
  const masked = maskUrlCredentials(argument);
  return masked.length <= MAX_ARGUMENT_CHARS ? masked : `${masked.slice(0, MAX_ARGUMENT_CHARS)}…`;
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
