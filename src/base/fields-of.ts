/** Returns the fields of a table with their names, which have the type of its keys. */
export function fieldsOf<K extends string, V>(table: Readonly<Record<K, V>>): [name: K, value: V][] {
  const fields: [K, V][] = [];
  for (const name in table) fields.push([name, table[name]]);
  return fields;
}

/** Returns a table with the same keys and other values. */
export function mapFields<K extends string, V, W>(
  table: Readonly<Record<K, V>>,
  map: (value: V, name: K) => W,
): Record<K, W> {
  const mapped = Object.fromEntries(fieldsOf(table).map(([name, value]) => [name, map(value, name)]));
  return mapped as Record<K, W>; // the keys are those of the table
}
