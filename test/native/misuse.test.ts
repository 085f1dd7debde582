/**
 * The addon in the hands of somebody who makes mistakes: its functions on objects of other classes, memory that was given
 * away, callbacks that close what is at work. Each ends in an exception or does no harm; none reads or writes what is not its
 * own (the same tests run under AddressSanitizer).
 */
import { describe, expect, it } from 'vitest';
import { addon } from '../../ts/native/addon.js';
import { CpgGroup } from '../../ts/native/cpg-group.js';
import { FrameChannel, slotOffset } from '../../ts/native/frame-channel.js';
import { NativeLogDevice } from '../../ts/native/log-device.js';
import { NativeLogImage } from '../../ts/native/log-image.js';
import { NativeLogStates } from '../../ts/native/log-state.js';
import { NativeRegionMap } from '../../ts/native/region-map.js';
import { NativeRegionOwners } from '../../ts/native/region-owners.js';
import { NativeStickyMarks } from '../../ts/native/sticky-marks.js';
import { TestFolder } from './child-script.js';

const session = {
  uuid: 'u',
  writerEpoch: 1,
  nodeName: 'n',
  bootId: 'b',
  resumeCount: 1,
  regionSizeSectors: 8,
  closed: false,
};
const states = new NativeLogStates({ directory: null, bootId: 'boot', memoryBytesMax: 1 << 24 });

/** A fresh record's raw object: the addon's own, which the handles wrap. */
function record() {
  const store = new addon.StateStore(null, 'boot', 1 << 24, false);
  const made = store.create('uuid', 0, 1, 100, 8, '800 clustered-disk /dev/null 8', true);
  if ('length' in made) throw new Error(made[1]);
  return { store, record: made };
}

/** One object of each class of the addon. */
function oneOfEach(folder: TestFolder): Map<string, object> {
  const map = NativeRegionMap.anonymous(100);
  const { store, record: state } = record();
  const events = { opened() {}, read() {}, written() {} };
  return new Map<string, object>([
    ['RegionMap', map],
    ['RegionOwners', NativeRegionOwners.create(10, 100)],
    ['StickyMarks', NativeStickyMarks.create(10, 100)],
    ['LogImage', NativeLogImage.of(map)],
    ['StateStore', store],
    ['LogRecord', state],
    ['LogDevice', new addon.LogDevice('thread', events)],
    ['FrameChannel', FrameChannel.listen(folder.file('socket'))],
    ['CpgGroup', new CpgGroup('group')],
    ['PidFile', addon.process.lockPidFile(folder.file('pid'))],
  ]);
}

describe('a function of one class', () => {
  it('refuses to work on an object of another, and on any other object', () => {
    const folder = new TestFolder();
    const objects = oneOfEach(folder);
    let called = 0;
    for (const [name, object] of objects) {
      const members = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(object) as object);
      for (const [member, { get, value }] of Object.entries(members)) {
        if (member === 'constructor') continue;
        const work = (get ?? value) as (this: object) => unknown;
        for (const [other, stranger] of [...objects, ['an object', {}] as const]) {
          if (other === name) continue;
          expect(() => work.call(stranger), `${name}.${member} of ${other}`).toThrow(TypeError);
          called += 1;
        }
      }
    }
    expect(called).toBeGreaterThan(700);
    for (const object of objects.values()) (object as { close?: () => void }).close?.();
    folder.remove();
  });

  it('is no help to who calls its constructor for another class', () => {
    const forged = Reflect.construct(addon.StickyMarks, [10, 100], addon.RegionMap) as unknown as NativeRegionMap;
    expect(() => forged.cleanCount).toThrow(TypeError);
    expect(() => forged.unholdAll()).toThrow(TypeError);
    expect(() => NativeLogImage.of(forged)).toThrow(TypeError);
  });
});

describe('what is closed by a callback', () => {
  it('is closed for the call that made the callback', () => {
    const made = states.create(
      { uuid: 'a', luidHigh: 0, luidLow: 1 },
      { regionCount: 9, regionSizeSectors: 8 },
      't',
      true,
    );
    if (!made.ok) throw new Error(made.text);
    const { state } = made;
    const traitor = {
      ...session,
      get closed() {
        state.remove();
        return false;
      },
    };
    expect(() => state.image?.setSession(traitor)).toThrow(expect.objectContaining({ code: 'ERR_LOCKSTEP_CLOSED' }));
  });

  it('a constructor that throws half way leaves nothing behind', () => {
    const events = {
      opened() {},
      get read(): () => void {
        throw new Error('half way');
      },
      written() {},
    };
    expect(() => new NativeLogDevice(events, { writer: 'thread' })).not.toThrow();
    expect(() => new addon.LogDevice('thread', events)).toThrow('half way');
  });
});

describe('memory that was given away', () => {
  /** Detaches the array, as posting it to another thread does. */
  function giveAway<T extends ArrayBufferView>(array: T): T {
    structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
    expect(array.byteLength).toBe(0);
    return array;
  }

  it('is an empty array', () => {
    const map = NativeRegionMap.anonymous(100);
    const regions = giveAway(new Float64Array([1, 2]));
    expect(() => map.hold(regions, 2)).toThrow(RangeError);
    expect(map.hold(regions, 0)).toBe(0);
    const bytes = giveAway(new Uint8Array(512));
    const image = NativeLogImage.of(map);
    image.planAll();
    expect(() => image.encodeRun(0, bytes)).toThrow(RangeError);
    expect(image.importBytes(0, bytes, 100)).toBe(true);
    expect(image.firstDifference(0, bytes)).toBe(-1);
    expect(NativeStickyMarks.create(1).expire(Infinity, regions)).toBe(0);
    expect(NativeRegionOwners.create(1).list(0, 0, regions)).toEqual([0, -1]);
  });

  it('cannot be memory that the addon writes to: its owner keeps it', () => {
    const folder = new TestFolder();
    const listener = FrameChannel.listen(folder.file('socket'));
    const client = FrameChannel.connect(folder.file('socket'));
    const group = new CpgGroup('group');
    const lent = [listener.slots, listener.lengths, listener.outSlots, listener.outLengths, group.inbox, group.event];
    for (const view of lent) {
      const bytes = view.byteLength;
      try {
        structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
      } catch (error) {
        // What Node says of it from its version 21 on; before, the taker gets a copy.
        expect(error).toMatchObject({ name: 'DataCloneError' });
      }
      expect(view.byteLength).toBe(bytes);
    }
    client.outSlots.fill(7, slotOffset(0), slotOffset(0) + 100);
    client.outLengths[0] = 100;
    client.send(1);
    // Not a request: counted, and nowhere handed out.
    expect(listener.drain()).toBe(0);
    expect(listener.counters().unanswerable).toBe(1);
    client.close();
    listener.close();
    folder.remove();
  });
});
