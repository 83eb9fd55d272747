/**
 * Signing in: a one-time code, or the control token, is exchanged for the session's cookie, which scripts cannot read.
 */
import { ApiError, get, refusal, send, signedIn } from './api.js';
import { html, signal } from './view.js';

const problem = signal('');

/**
 * The code of the link was not exchanged for a session. Whether there is another one: a used code is no problem then, since the link
 * was opened a second time.
 *
 * @param {Response | null} answer what the sandbox answered
 */
export async function hasOther(answer) {
  try {
    await get('clock');
    return true;
  } catch (error) {
    // Any other answer is a session's, such as that the world of the address is not there.
    const inside = error.status !== 401 && error.status !== 0;
    if (!inside) problem.value = said(answer === null ? error : refusal(await answer.json(), answer.status));
    return inside;
  }
}

const said = (error) => (error instanceof ApiError ? error.message : 'The console could not sign in.');

async function submit(event) {
  event.preventDefault();
  const field = event.target.elements.namedItem('token');
  try {
    await send('POST', 'console/session', { token: field.value.trim() });
    problem.value = '';
    signedIn.value = true;
  } catch (error) {
    problem.value = said(error);
    field.focus();
  }
}

/** The page that is shown without a session. */
export const signInPage = () => html`
  <main class="sign-in" id="main">
    <h1>Ajoxi sandbox</h1>
    <p>This browser is not signed in. Open the link that <code>ajoxi sandbox</code> printed; press Enter in its terminal for a
      new one. Or give the control token, which it printed as well.</p>
    <form @submit=${submit}>
      <label for="token">Control token</label>
      <input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required
        aria-describedby="sign-in-problem" aria-invalid=${problem.value ? 'true' : 'false'}>
      <button class="primary">Sign in</button>
      <p id="sign-in-problem" class="problem" role="alert">${problem.value}</p>
    </form>
  </main>`;
