/**
 * This node's number as /etc/corosync/corosync.conf has it: for the time in which corosync itself cannot be asked. Reads
 * the node list and nothing else. Corosync's own answer goes before it.
 */

export interface NodeEntry {
  /** 0: the file leaves it to corosync. */
  readonly id: number;
  readonly name: string;
  readonly addresses: readonly string[];
}

/** The entries of `nodelist { node { ... } }`. */
export function nodeList(text: string): NodeEntry[] {
  const entries: NodeEntry[] = [];
  const open: string[] = [];
  let values = new Map<string, string>();
  for (const raw of text.split('\n')) {
    const line = raw.replace(/#.*/, '').trim();
    const section = line.match(/^(\w+)\s*\{$/);
    if (section !== null) {
      open.push(section[1] as string);
      values = new Map();
    } else if (line === '}') {
      if (open.join('.') === 'nodelist.node') entries.push(entryOf(values));
      open.pop();
    } else {
      const pair = line.match(/^(\w+)\s*:\s*(.*)$/);
      if (pair !== null) values.set(pair[1] as string, pair[2] as string);
    }
  }
  return entries;
}

function entryOf(values: ReadonlyMap<string, string>): NodeEntry {
  const id = Number(values.get('nodeid') ?? 0);
  const addresses = [...values].filter(([key]) => /^ring\d+_addr$/.test(key)).map(([, address]) => address);
  return { id: Number.isSafeInteger(id) && id > 0 && id < 2 ** 32 ? id : 0, name: values.get('name') ?? '', addresses };
}

/** The number of the node that is this host by its name or one of its addresses; 0: it cannot be told. */
export function ownNode(entries: readonly NodeEntry[], hostName: string, ownAddresses: ReadonlySet<string>): number {
  const mine = entries.filter(
    ({ name, addresses }) =>
      name === hostName || addresses.some((address) => address === hostName || ownAddresses.has(address)),
  );
  return mine.length === 1 ? (mine[0]?.id ?? 0) : 0;
}
