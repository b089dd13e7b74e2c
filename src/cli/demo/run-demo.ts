export async function runDemo(_: { keep: boolean }): Promise<void> {}
