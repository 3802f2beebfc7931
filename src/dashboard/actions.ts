// What can be changed from the page: each with the command that does the same, and what it would do first. The node refuses whoever may not.

import type { LogClient } from '../client/browser.ts';
import type { NodeStatus } from '../node/status.ts';
import { byId, element, say } from './dom.ts';
import { bytesText } from './texts.ts';

function part<Kind extends HTMLElement>(form: HTMLFormElement, selector: string, kind: new () => Kind): Kind {
  const found = form.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`the form ${form.id} has no ${selector}`);
  return found;
}

/** What a form needs. */
const TRIM_SCOPE = 'trim';
const TRANSFER_SCOPE = 'admin';

export class Actions {
  readonly #client: () => Promise<LogClient>;
  readonly #section = byId('actions', HTMLElement);
  readonly #trim = byId('trim', HTMLFormElement);
  readonly #trimTo = byId('trim-to', HTMLInputElement);
  readonly #transfer = byId('transfer', HTMLFormElement);
  readonly #transferTo = byId('transfer-to', HTMLSelectElement);
  #status: NodeStatus | undefined;

  constructor(client: () => Promise<LogClient>) {
    this.#client = client;
    const act = part(this.#trim, '[name=act]', HTMLButtonElement);
    this.#trimTo.addEventListener('input', () => {
      // What was looked at was another place.
      act.disabled = true;
      this.#showCommands();
    });
    this.#transferTo.addEventListener('change', () => this.#showCommands());
    this.#onSubmit(this.#trim, this.#trimTo, async (client, typed, isDryRun) => {
      const { start, end } = await client.trim({ to: Number(typed), dryRun: isDryRun });
      // Another place may have been typed meanwhile, at which nobody has looked.
      act.disabled = !isDryRun || this.#trimTo.value !== typed;
      const goes = bytesText(Math.max(0, start - (this.#status?.log.start ?? start)));
      return isDryRun
        ? `${goes} would go, for good: the log would go from offset ${start} to ${end}`
        : `the log goes from offset ${start} to ${end} now`;
    });
    this.#onSubmit(this.#transfer, this.#transferTo, async (client, chosen, isDryRun) => {
      const { from, leader, term } = await client.transfer({ to: Number(chosen), dryRun: isDryRun });
      if (isDryRun) return `node ${leader} would lead, in place of node ${from}; appends wait meanwhile, and none is lost`;
      return leader === null ? 'the office was given up; an election follows' : `node ${leader} leads in term ${term}`;
    });
  }

  /** Shows what there is to do to whoever has `scopes`, and nothing that the node would refuse. */
  show(status: NodeStatus, scopes: readonly string[]): void {
    this.#status = status;
    const ids = status.cluster.nodes.map(({ id }) => String(id));
    this.#transfer.hidden = ids.length < 2 || status.mirror !== null || !scopes.includes(TRANSFER_SCOPE);
    this.#trim.hidden = status.mirror !== null || !scopes.includes(TRIM_SCOPE);
    this.#section.hidden = this.#transfer.hidden && this.#trim.hidden;
    if (ids.join() !== Array.from(this.#transferTo.options, ({ value }) => value).join()) {
      this.#transferTo.replaceChildren(...ids.map((id) => element('option', id)));
    }
    this.#showCommands();
  }

  #showCommands(): void {
    const url = this.#status?.node.url ?? 'URL';
    part(this.#trim, 'code', HTMLElement).textContent = `loglog trim --to ${this.#trimTo.value || 'OFFSET'} --url ${url}`;
    part(this.#transfer, 'code', HTMLElement).textContent = `loglog transfer --to ${this.#transferTo.value} --url ${url}`;
  }

  /** `act` gets what `input` said when that was asked for, whatever it says once there is a client. */
  #onSubmit(
    form: HTMLFormElement,
    input: { readonly value: string },
    act: (client: LogClient, value: string, isDryRun: boolean) => Promise<string>,
  ): void {
    const output = part(form, 'output', HTMLOutputElement);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      const { value } = input;
      const isDryRun = event.submitter instanceof HTMLButtonElement && event.submitter.name === 'dry';
      say(output, 'the leader is asked…');
      this.#client()
        .then((client) => act(client, value, isDryRun))
        .then(
          (sentence) => say(output, sentence),
          (thrown: unknown) => say(output, thrown instanceof Error ? thrown.message : String(thrown), true),
        );
    });
  }
}
