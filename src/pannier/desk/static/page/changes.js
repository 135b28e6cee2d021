// Changes of the folder: new folders, other names, other places, and deleting with a way back.

import { basename, join } from "./names.js";

export class Changes {
  trash = null; // what was deleted and is kept: null while it is not known
  error = null;

  constructor(desk) {
    this.desk = desk;
  }

  get #folder() {
    return this.desk.folder.id;
  }

  /** Make a directory here; the focus goes to it. */
  async mkdir(name) {
    await this.desk.api.mkdir(this.#folder, join(this.desk.directory, name));
    await this.desk.refresh(name);
    this.desk.picking.focusRow();
  }

  /** Give an entry of a directory another name; it stays picked. */
  async rename(path, name) {
    const { picking } = this.desk;
    await this.desk.api.rename(this.#folder, path, name);
    const directory = path.slice(0, Math.max(0, path.length - basename(path).length - 1));
    const picked = picking.selection.has(directory, basename(path));
    const rest = picking.selection.without(path);
    if (picked) picking.set(rest.mark(directory, [name], true));
    else this.desk.planner.changed();
    await this.desk.refresh(name);
    picking.focusRow();
  }

  /** Move paths into a directory; what could not be moved is told and stays picked. */
  async move(paths, into) {
    const { moved, failed } = await this.desk.api.move(this.#folder, paths, into);
    this.#gone(moved.map(({ path }) => path));
    await this.desk.refresh();
    const values = { n: moved.length, folder: { name: join(this.desk.folder.name, into) } };
    if (failed.length > 0) this.desk.notify({ failed, key: "done.moved-some", values: { ...values, m: failed.length } });
    else this.desk.notify({ key: "done.moved", values });
  }

  /** Into the trash, at once: there is a way back. */
  async remove(paths) {
    const { id, deleted, kept_until } = await this.desk.api.remove(this.#folder, paths);
    this.#gone(paths);
    await this.desk.refresh();
    this.desk.picking.focusRow();
    const until = Date.parse(kept_until);
    const values = { n: typeof deleted === "number" ? deleted : paths.length, time: { until } };
    this.desk.notify({ key: "done.deleted", values, undo: () => this.restore(id) });
    this.desk.tell(this.desk.plain("done.deleted", values));
  }

  #gone(paths) {
    const { picking } = this.desk;
    const after = paths.reduce((selection, path) => selection.without(path), picking.selection);
    if (after.count !== picking.selection.count) picking.set(after);
    else this.desk.planner.changed();
  }

  async restore(id) {
    await this.desk.attempt(async () => {
      const { restored, failed } = await this.desk.api.restore(this.#folder, id);
      const values = { n: restored.length };
      this.desk.notify(
        failed.length > 0 ? { failed, key: "done.restored-some", values: { ...values, m: failed.length } } : { key: "done.restored", values },
      );
      await this.desk.refresh(restored.length > 0 ? basename(restored[0].to ?? restored[0].path) : null);
      this.desk.picking.focusRow();
      if (this.desk.panel === "trash") this.loadTrash();
    });
  }

  async loadTrash() {
    try {
      this.trash = await this.desk.api.trash(this.#folder);
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.desk.changed();
  }

  /** Delete for good what was deleted before. */
  async forget(id) {
    await this.desk.attempt(() => this.desk.api.forget(this.#folder, id));
    await this.loadTrash();
  }
}
