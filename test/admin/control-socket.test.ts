/** The control socket of a real daemon: who may use it, what it says to nonsense, and what a client can cost. */
import { statSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientsMax } from '../../ts/admin/control-server.js';
import { parseRequest, protocolVersion, requestBytesMax } from '../../ts/admin/protocol.js';
import { DaemonFolder, type DaemonProcess } from '../daemon/daemon-process.js';
import { controlSocket, RawClient, until } from './admin-daemon.js';

let folder: DaemonFolder;
let daemon: DaemonProcess;
let path: string;

beforeAll(async () => {
  folder = new DaemonFolder();
  daemon = folder.start();
  await daemon.said(/ control-socket .*\n/);
  path = controlSocket(folder);
});
afterAll(() => folder.remove());

/** It still answers, to somebody who asks well. */
async function expectAlive(): Promise<void> {
  const client = await RawClient.connect(path);
  client.send('{"v":1,"id":77,"command":"status"}\n');
  const [answer] = await client.answers(1);
  expect(answer).toMatchObject({ v: protocolVersion, id: 77, ok: true, result: { fresh: true } });
  client.socket.destroy();
}

it('is for its owner alone', () => {
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

it('another user is turned away even where the file lets him in', async (context) => {
  if (process.getuid?.() !== 0) return context.skip('needs root, to be somebody else for once');
  const { chmodSync } = await import('node:fs');
  const { spawnSync } = await import('node:child_process');
  chmodSync(path, 0o666);
  chmodSync(folder.path, 0o755);
  const script = `require('net').connect(process.argv[1]).on('data', (text) => console.log(String(text)))
    .on('error', (error) => console.log(error.message))`;
  const other = spawnSync(process.execPath, ['-e', script, path], { uid: 65_534, gid: 65_534, encoding: 'utf8' });
  chmodSync(folder.path, 0o700);
  chmodSync(path, 0o600);
  expect(JSON.parse(other.stdout)).toMatchObject({ ok: false, error: { code: 'denied' } });
  expect(other.stdout).toContain('uid 65534');
  await daemon.said(/control-client-denied .*65534/);
});

describe('a request', () => {
  it.each([
    ['rubbish', 'syntax', 0],
    ['{"v":1', 'syntax', 0],
    ['[1]', 'syntax', 0],
    ['null', 'syntax', 0],
    ['"status"', 'syntax', 0],
    ['{"id":3,"command":"status"}', 'version', 3],
    ['{"v":2,"id":3,"command":"status"}', 'version', 3],
    ['{"v":1,"id":-1,"command":"status"}', 'field', 0],
    ['{"v":1,"id":1.5,"command":"status"}', 'field', 0],
    ['{"v":1,"id":4}', 'command', 4],
    ['{"v":1,"id":4,"command":"mount"}', 'command', 4],
    ['{"v":1,"id":4,"command":"toString"}', 'command', 4],
    ['{"v":1,"id":4,"command":"__proto__"}', 'command', 4],
    ['{"v":1,"id":4,"command":["status"]}', 'command', 4],
    ['{"v":1,"id":5,"command":"status","verbose":true}', 'field', 5],
    ['{"v":1,"id":5,"command":"events","since":-1}', 'field', 5],
    ['{"v":1,"id":5,"command":"events","since":"0"}', 'field', 5],
    ['{"v":1,"id":5,"command":"events","stream":1}', 'field', 5],
    ['{"v":1,"id":5,"command":"events","follow":1}', 'field', 5],
    ['{"v":1,"id":6,"command":"region","luid":"0000000000001000","region":0}', 'field', 6],
    [`{"v":1,"id":6,"command":"region","uuid":"${'x'.repeat(129)}","luid":"0000000000001000","region":0}`, 'field', 6],
    ['{"v":1,"id":6,"command":"region","uuid":"x","luid":"1000","region":0}', 'field', 6],
    ['{"v":1,"id":6,"command":"region","uuid":"x","luid":"0000000000001000","region":-1}', 'field', 6],
    ['{"v":1,"id":6,"command":"region","uuid":"x","luid":"0000000000001000","region":1e99}', 'field', 6],
  ])('%s is refused by name', async (line, code, id) => {
    const client = await RawClient.connect(path);
    client.send(`${line}\n{"v":1,"id":9,"command":"events"}\n`);
    const [refused, next] = await client.answers(2);
    expect(refused).toMatchObject({ v: 1, id, ok: false, error: { code } });
    expect(next).toMatchObject({ id: 9, ok: true });
    client.socket.destroy();
  });

  it('for a log or a region that is not there is answered with null', async () => {
    const client = await RawClient.connect(path);
    client.send('{"v":1,"id":1,"command":"region","uuid":"x","luid":"0000000000001000","region":7}\n');
    expect((await client.answers(1))[0]).toEqual({ v: 1, id: 1, ok: true, result: { region: null, fresh: true } });
    client.socket.destroy();
  });

  it('that is too long ends the connection with a reason, whether or not its line ends', async () => {
    for (const tail of ['\n', '']) {
      const client = await RawClient.connect(path);
      client.send('x'.repeat(requestBytesMax + 1) + tail);
      await client.end();
      expect(client.responses).toMatchObject([{ id: 0, ok: false, error: { code: 'too-long' } }]);
    }
    await expectAlive();
  });

  it('one behind the other, cut anywhere, are answered in order', async () => {
    const client = await RawClient.connect(path);
    const bytes = Buffer.from([1, 2, 3, 4].map((id) => `{"v":1,"id":${id},"command":"events"}\r\n`).join('\n'));
    for (let at = 0; at < bytes.length; at += 7) {
      client.send(bytes.subarray(at, at + 7));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await client.answers(4)).map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    client.socket.destroy();
  });

  it('of any shape is parsed without a throw', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => typeof parseRequest(line).ok === 'boolean'));
    const field = fc.oneof(fc.constantFrom(1, 'status', 'events', 'region', 0, true), fc.jsonValue());
    const names = fc.constantFrom('v', 'id', 'command', 'since', 'stream', 'follow', 'uuid', 'luid', 'region', 'other');
    fc.assert(
      fc.property(fc.dictionary(names, field), (fields) => {
        const parsed = parseRequest(JSON.stringify({ v: 1, ...fields }));
        if (!parsed.ok) expect(parsed.error.text).not.toBe('');
      }),
    );
  });
});

it('bytes that are nothing at all hurt nobody', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const client = await RawClient.connect(path);
    const bytes = Buffer.from(
      Array.from({ length: 500 }, (_, i) => (seed * 7919 + i * i * 31 + (i >> 3) * seed) & 0xff),
    );
    client.send(bytes);
    client.send('\n');
    await client.answers(1);
    for (const response of client.responses) expect(response.ok).toBe(false);
    client.socket.destroy();
  }
  await expectAlive();
});

it('more clients than there is room for are told so', async () => {
  // Those of the tests before may still be on their way out.
  const clients: RawClient[] = [];
  await until(async () => {
    for (const client of clients.splice(0)) client.socket.destroy();
    for (let i = 0; i < clientsMax; i++) clients.push(await RawClient.connect(path));
    for (const client of clients) client.send('{"v":1,"id":1,"command":"events"}\n');
    const answers = await Promise.all(clients.map((client) => client.answers(1)));
    return answers.every(([answer]) => answer?.ok === true);
  }, 'room for as many clients as are allowed');
  const last = await RawClient.connect(path);
  await last.end();
  expect(last.responses).toMatchObject([{ ok: false, error: { code: 'busy' } }]);
  for (const client of clients) client.socket.destroy();
  await until(async () => {
    const client = await RawClient.connect(path);
    client.send('{"v":1,"id":1,"command":"events"}\n');
    const [answer] = await client.answers(1);
    client.socket.destroy();
    return answer?.ok === true;
  }, 'room again');
});

it('a client that asks and never reads is dropped, and its requests are not kept', async () => {
  const client = await RawClient.connect(path);
  client.socket.pause();
  for (let i = 0; i < 4000; i++) client.send(`{"v":1,"id":${i},"command":"status"}\n`);
  await expectAlive();
  await until(async () => {
    const other = await RawClient.connect(path);
    other.send('{"v":1,"id":1,"command":"status"}\n');
    const [answer] = await other.answers(1);
    other.socket.destroy();
    const result = answer?.ok === true ? (answer.result as { admin: { clients: number; malformed: number } }) : null;
    return result !== null && result.admin.clients === 1;
  }, 'the reader that does not read to be dropped');
  client.socket.destroy();
});
