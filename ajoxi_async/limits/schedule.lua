-- The schedule of one key, the only thing that touches it. Everything in whole microseconds of Redis's clock.
--
-- The hash's fields: `next` the next time to be given, `paused` the end of a 429's pause, `wake` the last moment a process
-- was told to come back at, `limit`, `seen` the last use, a lane's name its last turn, `refunds` times that were given back,
-- `w:...` the workers by their last use. The arguments stand in the order of `_ask` in redis.py, which is the only caller.
local key, worker = KEYS[1], ARGV[1]
local wanted = {tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])}
local limit, pause, back, ticket = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1', tonumber(ARGV[8])
local lead, hold, ahead = tonumber(ARGV[10]), tonumber(ARGV[11]), {tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])}
local lanes, longest_pause = {'interactive', 'default', 'bulk'}, 60000000
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local all, state, seen_at, workers = redis.call('HGETALL', key), {}, {}, 1
for i = 1, #all, 2 do
  local name = all[i]
  if string.sub(name, 1, 2) == 'w:' then seen_at[name] = tonumber(all[i + 1]) else state[name] = all[i + 1] end
end
-- A last use that lies ahead: the clock was set back. What was planned keeps its distance from the last use, so that nobody
-- waits until the clock is where it was.
local seen = tonumber(state.seen or 0)
if seen > now then
  for _, name in ipairs({'next', 'paused', 'wake', 'interactive', 'default', 'bulk'}) do
    if state[name] then
      state[name] = tonumber(state[name]) - (seen - now)
      redis.call('HSET', key, name, string.format('%.0f', state[name]))
    end
  end
  for name, at in pairs(seen_at) do
    seen_at[name] = math.min(at, now)
    redis.call('HSET', key, name, string.format('%.0f', seen_at[name]))
  end
  state.refunds, seen = nil, now
end
for name, at in pairs(seen_at) do
  if now - at > 10000000 then
    redis.call('HDEL', key, name)
  elseif name ~= 'w:' .. worker then
    workers = workers + 1
  end
end
if limit == 0 then limit = tonumber(state.limit or ARGV[9]) end
local step = 1000000 / (limit - math.max(0.5, limit * 0.01))
local next = tonumber(state.next)
-- No lease and no hold reaches further than this: what does was planned by another clock.
if next and next - now > hold + ahead[1] + 2 * step + 1000000 then next = nil end
if not next or (back and now - seen > 300000) then
  next = math.max(next or 0, now + hold)
end
local paused = math.min(tonumber(state.paused or 0), now + longest_pause)
if pause > 0 then paused = math.max(paused, now + pause) end
next = math.max(next, now + lead)
local from = math.max(next, paused)
local refunds = {}
for given in string.gmatch((state.refunds or '') .. ',' .. ARGV[15], '%d+') do
  local at = tonumber(given)
  if at > now + lead and at < next and at >= paused then refunds[#refunds + 1] = at end
end
table.sort(refunds)
local given = {}
local function give()
  local at = table.remove(refunds, 1)
  if not at then
    at = from
    from = from + step
    next = from
  end
  given[#given + 1] = string.format('%.0f', at)
end
local open = nil
for rank, lane in ipairs(lanes) do
  local last, got = tonumber(state[lane] or 0), false
  for _ = 1, wanted[rank] do
    local starved = now - last > 10 * step and from - now < ahead[1]
    if #refunds == 0 and from - now > ahead[rank] and not starved then
      open = open or from - ahead[rank]
      break
    end
    give()
    last, got = now, true
  end
  if got then redis.call('HSET', key, lane, string.format('%.0f', now)) end
end
local come = 0
if open then
  come = ticket
  local latest = open + workers * step
  if ticket <= now or ticket > latest then
    -- One interval apart, ahead of the schedule by one round of all workers at most.
    come = math.min(math.max(tonumber(state.wake or 0), open), latest)
    redis.call('HSET', key, 'wake', string.format('%.0f', come + step))
  end
end
for index, at in ipairs(refunds) do refunds[index] = string.format('%.0f', at) end
redis.call('HSET', key, 'next', string.format('%.0f', next), 'paused', string.format('%.0f', paused), 'limit', limit,
  'seen', string.format('%.0f', now), 'refunds', table.concat(refunds, ','), 'w:' .. worker, string.format('%.0f', now))
redis.call('PEXPIRE', key, 120000)
return {string.format('%.0f', now), string.format('%.0f', come), workers, limit, table.concat(given, ',')}
