-- What the digest has still to tell: usual is 1 for ordinary logins, 2 for those
-- whose pair was told before or that many others like them came with, 3 for those
-- that the settings leave out.
DROP INDEX login_untold;
CREATE INDEX login_untold ON login(time) WHERE usual > 0 AND digest IS NULL;
