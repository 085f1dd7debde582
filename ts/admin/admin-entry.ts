/**
 * The admin worker's entry: a control server, and the questions that it asks of the main thread.
 *
 * The worker holds nothing that anybody else needs. It may die at any time, by running out of its heap most likely; the
 * main thread starts another, and the kernel's requests, which never come here, do not notice.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { AdminOptions, Answer, FromAdmin, Question, ToAdmin } from './admin-messages.js';
import { ControlServer } from './control-server.js';

const port = parentPort;
if (port === null) throw new Error('the admin entry runs in a worker');
const tell = (message: FromAdmin): void => port.postMessage(message);

const waiting = new Map<number, (answer: Answer) => void>();
let lastId = 0;

function ask(question: Question): Promise<Answer> {
  lastId += 1;
  const id = lastId;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    tell({ kind: 'ask', id, question });
  });
}

const { socketPath, restarts } = workerData as AdminOptions;
const server = new ControlServer({ socketPath, restarts, ask, tell });

port.on('message', (message: ToAdmin) => {
  switch (message.kind) {
    case 'answer':
      waiting.get(message.id)?.(message.answer);
      waiting.delete(message.id);
      break;
    case 'news':
      server.news();
      break;
    case 'stop':
      server.close();
      port.close();
      break;
  }
});
