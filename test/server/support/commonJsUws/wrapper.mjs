import uws from './uws.cjs';

export const App = uws.App;
