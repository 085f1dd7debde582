/**
 * What the daemon asks of its own process and Node cannot give: the pid-file lock that LVM2 looks for, memory
 * that stays resident, a thread flag that keeps allocations from waiting for the mirror we serve, systemd's
 * readiness socket, datagrams to the system log, and who somebody else is: a client of the control socket, the holder
 * of a pid file.
 */
import { addon } from './addon.js';

/**
 * A locked pid file. The lock also ends with the process; after `process.exit` or a kill the file stays behind,
 * unlocked. Nobody else in the process may open the file: the lock goes with the first descriptor that is closed.
 */
export interface PidFileLock {
  readonly path: string;
  /** Removes the file, unless another has its name by now, and gives the lock up. Twice is fine. */
  close(): void;
}

export interface MemoryLock {
  /** Bytes of file-backed mappings (node, the addon, the libraries) that are locked now. */
  readonly lockedBytes: number;
  /** Mappings that could not be locked, most often for RLIMIT_MEMLOCK. */
  readonly failures: number;
  /** errno of the first failure, or 0. */
  readonly errno: number;
}

/** A process at the other end of a local socket, as it was when it connected. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface NativeProcessFunctions {
  lockPidFile(path: string): PidFileLock;
  setIoFlusher(): number;
  lockMemory(): MemoryLock;
  notifySystemd(text: string): boolean;
  peerCredentials(fd: number): PeerCredentials;
  pidFileHolder(path: string): number;
  sendDatagram(address: string, text: string): number;
}

/**
 * Creates the pid file if need be and locks the whole of it for writing with `fcntl(F_SETLK)`: up to 21 tries,
 * 1 ms apart; then writes the pid and a line end. Mode 0644, close-on-exec. The lock belongs to the process: call
 * it once a file and process, and after any fork.
 *
 * @throws Error with code EAGAIN or EACCES when another process holds the lock, ELOOP for a symbolic link, EINVAL for
 * what is no regular file, or the code of the failed call.
 */
export function lockPidFile(path: string): PidFileLock {
  return addon.process.lockPidFile(path);
}

/**
 * Marks the calling thread, and every thread it starts from then on, as one that write-back may wait for
 * (`PR_SET_IO_FLUSHER`). Call it before any thread is started; V8's helper threads are there already and stay as they are.
 * Needs CAP_SYS_RESOURCE.
 *
 * @returns 0 or an errno: EPERM for an ordinary user, EINVAL on a kernel before 5.6.
 */
export function setIoFlusher(): number {
  return addon.process.setIoFlusher();
}

/**
 * Locks the file-backed mappings of the process, but for shared ones that it writes to: code, and data that nobody has
 * changed yet, must never be paged in from a disk behind the mirror. Never `mlockall`, which V8 does not survive.
 */
export function lockMemory(): MemoryLock {
  return addon.process.lockMemory();
}

/**
 * Sends `text` (`READY=1`, `STATUS=...`) to the socket that `NOTIFY_SOCKET` names, abstract or not.
 *
 * @returns false when no such socket is named.
 * @throws Error with the code of the failed call.
 */
export function notifySystemd(text: string): boolean {
  return addon.process.notifySystemd(text);
}

/**
 * Who is at the other end of a connected local socket (`SO_PEERCRED`).
 *
 * @throws Error with the code of the failed call.
 */
export function peerCredentials(fd: number): PeerCredentials {
  return addon.process.peerCredentials(fd);
}

/**
 * The process that holds a write lock on the file (`fcntl(F_GETLK)`, as LVM2 looks for `cmirrord`), or 0. Never ask for
 * a file that this process has locked: closing any descriptor of it gives the lock up.
 *
 * @throws Error with code ENOENT when there is no such file, EACCES when it may not be read.
 */
export function pidFileHolder(path: string): number {
  return addon.process.pidFileHolder(path);
}

/**
 * Sends one datagram to the local socket at `address` (a path, or `@name`), and never waits: a reader that is slow
 * makes it EAGAIN.
 *
 * @returns 0 or an errno.
 */
export function sendDatagram(address: string, text: string): number {
  return addon.process.sendDatagram(address, text);
}
