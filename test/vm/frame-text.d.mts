export interface RecordedLine {
  readonly kind: '>' | '<' | '!';
  readonly bytes: Buffer;
  readonly text: string;
}
export function packed(content: string): string;
export function parseFrames(content: string): RecordedLine[];
export function conversation(frames: readonly RecordedLine[]): string[];
