import { optionText, type PraefectCommand } from './command.ts';

export const listStorages: PraefectCommand = {
  name: 'list-storages',
  description: 'List the virtual storages and their nodes.',
  example: 'list-storages',
  options: [{ flags: '--virtual-storage <name>', description: 'only this virtual storage' }],
  async run(input) {
    const { print } = input;
    const only = optionText(input, 'virtual-storage');
    const shown = input.config.virtualStorage.filter(({ name }) => only === '' || name === only);
    if (shown.length === 0) {
      print(`No virtual storages named ${only}.`);
      return undefined;
    }
    const rows = [
      ['VIRTUAL_STORAGE', 'NODE', 'ADDRESS'],
      ...shown.flatMap(({ name, node }) => node.map(({ storage, address }) => [name, storage, address])),
    ];
    const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
    // As Gitaly prints it, with a space at both ends.
    for (const row of rows)
      print(` ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')} `);
    return undefined;
  },
};
