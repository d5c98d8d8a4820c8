-- Health of every kind of tocsin.dev for Argo CD. Ready says it, once Tocsin has looked at this very generation.
local health = { status = "Progressing", message = "waiting for Tocsin to look at this generation" }

if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health
end

for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" and condition.observedGeneration == obj.metadata.generation then
    health.message = condition.message
    if condition.status == "True" then
      health.status = "Healthy"
      if obj.spec ~= nil and obj.spec.suspend == true then
        health.status = "Suspended"
      end
    elseif condition.status == "False" and condition.reason ~= "Pending" and condition.reason ~= "NoReceivers" then
      health.status = "Degraded"
    end
  end
end

return health
