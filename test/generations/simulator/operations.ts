import type { ChainState } from '#generations/chain/chain-state';
import { ProtocolError, type ProtocolProblem } from '#generations/errors';
import type { NewObjects } from '#generations/repository/publisher';
import { type Process, SIMULATED_TIMES, type SimulatedServer } from './server.ts';
import { idsOf, packOf, shownReferences, type Truth } from './truth.ts';
import type { World } from './world.ts';

/** An operation of a client, or of the server itself. Its text is in the trace. */
export type Operation =
  | 'read'
  | 'cold'
  | 'restore'
  | 'takeover'
  | 'create'
  | 'remove'
  | 'checkpoint'
  | 'collect'
  | 'claim'
  | 'erase'
  | 'repack'
  | 'release'
  | 'renew'
  | 'observe'
  | 'fork'
  | 'own'
  | 'crash'
  | `wait ${number}`
  | `write ${string}`
  | `push ${string}`
  | `reuse ${string}`;

/** Result: `ok`, why it failed, or that no process was there to execute it. */
export type Result = 'ok' | ProtocolProblem | 'network' | 'down';

export interface Actor {
  readonly world: World;
  readonly truth: Truth;
  readonly server: SimulatedServer;
  readonly name: string;
  readonly ids: IdSource;
}

/** Ids of objects: each write has its own. */
export class IdSource {
  /** Objects in packs that no reference has had: a write may point to one of them. */
  readonly extra: string[] = [];
  #count = 0;

  next(): string {
    return `o${++this.#count}`;
  }
}

/** Runs an operation on the process that the server has now. */
export async function perform(operation: Operation, actor: Actor): Promise<Result> {
  const { world, server, name } = actor;
  const { process } = server;
  if (process === undefined) return 'down';
  world.note(() => `${process.name} ${name} ${operation}`);
  const result = await outcomeOf(world, execute(operation, actor, process));
  world.note(() => `${process.name} ${name} ${operation}: ${result}`);
  return result;
}

async function outcomeOf(world: World, work: Promise<void>): Promise<Result> {
  try {
    await work;
    return 'ok';
  } catch (error) {
    if (!(error instanceof ProtocolError)) {
      if (!/^(?:503|no response)$/.test(String((error as Error).message))) throw error; // an error of ours
      return 'network';
    }
    if (error.problem === 'damaged') world.fail(error.message);
    return error.problem;
  }
}

async function execute(operation: Operation, actor: Actor, process: Process): Promise<void> {
  const { truth, name, server, world } = actor;
  const { repository, maintenance, lease, leases, publisher } = process;
  const who = `${name} at ${process.name}`;
  const from = truth.known;
  const [verb, argument = ''] = operation.split(' ');
  switch (verb) {
    case 'read': {
      const isRemoved = await isMissing(repository.requireReadable());
      const value = isRemoved ? shownReferences(undefined) : server.disk.value;
      if (value === undefined) throw new ProtocolError('unavailable', 'the local repository is dropped');
      return truth.endRead(from, value, who);
    }
    case 'cold': {
      const work = repository.readCold();
      const state = (await isMissing(work)) ? undefined : await work;
      return truth.endRead(from, shownReferences(state?.references), who);
    }
    case 'restore': {
      const startMs = world.nowMs;
      const { state } = await process.chain.follow();
      await process.wait(world.spread(1, SIMULATED_TIMES.graceMs));
      if (world.nowMs - startMs < SIMULATED_TIMES.graceMs) truth.checkObjects(state);
      return;
    }
    case 'takeover':
    case 'create': {
      const owner = await (verb === 'create' ? repository.create() : repository.takeOver());
      if (!lease.isOwner(owner)) throw new ProtocolError('not-owner', 'the owner lives', { owner });
      if (verb === 'create') truth.endCreate(from, who);
      return;
    }
    case 'own':
      if (repository.state === undefined) await execute('takeover', actor, process);
      return;
    case 'remove': {
      const n = await publisher.remove();
      truth.known = Math.max(truth.known, n);
      return;
    }
    case 'write':
    case 'push':
    case 'reuse':
      return await write(verb, argument, actor, process);
    case 'checkpoint':
      return void (await maintenance.checkpoint());
    case 'collect':
      return void (await maintenance.collect());
    case 'claim':
      return void (await maintenance.claimFloor());
    case 'erase':
      if (repository.state === undefined) await repository.takeOverRemoved();
      return void (await maintenance.erase());
    case 'repack':
      return void (await maintenance.repack((head) => repacked(head, truth, process)));
    case 'release':
      return await lease.release();
    case 'renew':
      return await lease.renew();
    case 'observe': {
      const owner = (await process.chain.follow()).state.owner;
      if (owner !== undefined) await leases.isDead(owner);
      return;
    }
    case 'fork': {
      const pinned = server.options.parts.pinPacks(process.chain, actor.ids.next());
      return truth.pin((await pinned).packs);
    }
    case 'wait':
      return await process.wait(Number(argument));
    case 'crash':
      return server.crash();
    default:
      throw new Error(`no operation ${operation}`);
  }
}

/** Reports whether a read found out that the repository is removed, which is a value, too. */
async function isMissing(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return false;
  } catch (error) {
    if (error instanceof ProtocolError && error.problem === 'missing') return true;
    throw error;
  }
}

/** Writes a reference; a write whose outcome is unknown is repeated once, as the same request. */
async function write(verb: string, name: string, actor: Actor, process: Process): Promise<void> {
  const { truth, ids } = actor;
  const who = `${actor.name} at ${process.name}`;
  const from = truth.known;
  const state = process.repository.state;
  if (state === undefined) throw new ProtocolError('not-owner', 'the server does not own the repository');
  const id = (verb === 'reuse' ? ids.extra.shift() : undefined) ?? ids.next();
  const change = { name, old: state.references.get(name), new: id };
  const newObjects = verb === 'push' ? await pushed(id, actor, process) : inlined(id, truth);
  const request = { correlationId: id, hash: 'h', principal: actor.name };
  for (let attempt = 0; ; attempt++) {
    try {
      await process.publisher.publish({ changes: [change], request, newObjects });
      return truth.endWrite(from, id, who);
    } catch (error) {
      const problem = error instanceof ProtocolError ? error.problem : 'network';
      const isKnown = problem !== 'unknown' && (attempt === 0 || problem === 'old-value');
      if (isKnown) truth.refuse(id, who);
      if (problem !== 'unknown' || attempt > 0) throw error;
    }
    await process.wait(300);
  }
}

/** New objects of a small write: those that are in no pack of the head. */
function inlined(id: string, truth: Truth): (head: ChainState) => Promise<NewObjects> {
  return async (head) => (isIn(head, id, truth) ? {} : { inline: packOf([id]) });
}

/**
 * New objects of a push: a pack that is uploaded before, while hooks run, and again if it is
 * doomed.
 */
async function pushed(
  id: string,
  { ids, world }: Actor,
  process: Process,
): Promise<(head: ChainState) => Promise<NewObjects>> {
  ids.extra.push(`${id}+`);
  const upload = async (): Promise<NewObjects> => {
    const uploadedMs = process.chain.options.clock.nowMs();
    return { packs: [await process.chain.uploadPack(packOf([id, `${id}+`]))], uploadedMs };
  };
  let first: NewObjects | undefined = await upload();
  if (world.chance(0.4)) await process.wait(world.spread(100, 14_000));
  return async () => {
    const objects = first ?? (await upload());
    first = undefined;
    return objects;
  };
}

function isIn(head: ChainState, id: string, { objects, keys }: Truth): boolean {
  return [...head.packs].some((name) => {
    const pack = objects.get(keys.pack(name));
    return pack !== undefined && idsOf(pack.content).includes(id);
  });
}

/** One pack of all that is reachable, in place of all packs. */
async function repacked(
  head: ChainState,
  truth: Truth,
  process: Process,
): Promise<{ add: string[]; remove: string[] }> {
  const values = [...head.references.values()].filter((id) => isIn(head, id, truth));
  if (head.packs.size === 0) return { add: [], remove: [] };
  const remove = [...head.packs];
  return { add: values.length === 0 ? [] : [await process.chain.uploadPack(packOf(values))], remove };
}
