/**
 * A process that attacks a server, so that the attack does not delay the client that measures:
 * `attacker.ts <attack> <measure> <target as JSON>`.
 */
import { ATTACKS, type Target } from './attacks.ts';

const [name, measure, target] = process.argv.slice(2);
const attack = Object.entries(ATTACKS).find(([key]) => key === name)?.[1];
if (attack === undefined || target === undefined) throw new Error(`no attack ${name}`);
// Only the test next to this file starts it.
await attack(JSON.parse(target) as Target, Number(measure));
process.exit(0);
